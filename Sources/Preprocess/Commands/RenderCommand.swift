import Shared

/// `Preprocess render`: conversations in, the text of a template out.
struct RenderOptions: Options {
    static let summary =
        "Reads a record a line and writes the text that build makes samples of, a JSON string a line."

    var format = ChatFormatOptions()
    @Option("Text of the bos token, if not tokenizer_config.json's.") var bosToken: String?
    @Option("Text of the eos token, if not tokenizer_config.json's.") var eosToken: String?
    @Option("Roles of the data by other names, as of build.", value: "NAME=ROLE...") var roleMap: [String] = []
    @Flag("End with the generation prompt, for the model to continue.") var addGenerationPrompt
    @Flag("Write a line for each of the assistant's turns: the text that ends with it.") var rowPerTurn

    func validate() throws(OptionsError) {
        _ = try RoleNames(roleMap)
        if addGenerationPrompt && rowPerTurn {
            throw .rule("--row-per-turn ends texts with a turn, and --add-generation-prompt doesn't")
        }
    }
}

enum RenderCommand {
    static let command = Command("render", RenderOptions.self, body: run)

    /// A line that can't be rendered is answered by an object with `error`, and the others follow.
    @Sendable private static func run(_ options: RenderOptions) throws {
        let (format, _) = try options.format.load(bosToken: options.bosToken, eosToken: options.eosToken)
        let renderer = try format.makeRenderer()
        let check = format.comparesTurns ? (renderer as? JinjaRenderer).map { TurnCheck($0, format) } : nil
        let parser = ConversationParser(
            isPreformatted: false, needsAnswer: !options.addGenerationPrompt, roles: try RoleNames(options.roleMap))
        var text = RenderedText()
        try JSONLines.answer { value, output in
            var isFirst = true
            do {
                for conversation in try conversations(parser.row(value), options) {
                    do {
                        try renderer.render(conversation, addGenerationPrompt: options.addGenerationPrompt, into: &text)
                    } catch {
                        // What the template writes is of use, even if no turns are found in it.
                        guard let own = renderer as? JinjaRenderer else { throw error }
                        text.removeAll()
                        text.bytes = try own.rendered(
                            conversation, addGenerationPrompt: options.addGenerationPrompt
                        ).bytes
                    }
                    if options.rowPerTurn, let check { _ = try check.continuePrompt(conversation, &text) }
                    if !isFirst { try output.endLine() }
                    isFirst = false
                    output.append(quoting: text.bytes)
                }
            } catch {
                if !isFirst { try output.endLine() }
                let message = (error as? Rejection)?.detail ?? "\(error)"
                output.append("{\"error\": \(JSONText.quoted(message))}")
            }
        }
    }

    /// The conversation of a row, or one up to each turn that is supervised.
    private static func conversations(_ row: SourceRow, _ options: RenderOptions) throws(Rejection) -> [Conversation] {
        guard case .conversation(let conversation) = row.content else {
            throw Rejection(.notAConversation, "has tokens, which no template renders")
        }
        return options.rowPerTurn ? conversation.turns.map { conversation.prefix($0 + 1) } : [conversation]
    }
}
