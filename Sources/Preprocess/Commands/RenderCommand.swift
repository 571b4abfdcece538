import Shared

/// `Preprocess render`: conversations in, the text of a template out.
struct RenderOptions: Options {
    static let summary = "Reads a conversation a line and writes its text by a chat template, a JSON string a line."

    @Option("Directory of the target model, with tokenizer.json.", value: "DIR") var targetModelPath: String
    @Option(
        "Chat template: \(TemplateRegistry.names.joined(separator: ", ")), or a JSON file with its headers.",
        value: "NAME|FILE")
    var chatTemplate: String
    @Option("Text of the bos token, if not tokenizer_config.json's.") var bosToken: String?
    @Option("Text of the eos token, if not tokenizer_config.json's.") var eosToken: String?
    @Flag("End with an assistant's header, for the model to go on.") var addGenerationPrompt
}

enum RenderCommand {
    static let command = Command("render", RenderOptions.self, body: run)

    /// A line that can't be rendered is answered by an object with `error`, and the others go on.
    @Sendable private static func run(_ options: RenderOptions) throws {
        let template = try TemplateRegistry.resolve(options.chatTemplate)
        let tokenizer = try Tokenizer(modelDirectory: options.targetModelPath)
        let renderer = try TemplateRenderer(
            template, bosToken: options.bosToken ?? tokenizer.bosToken,
            eosToken: options.eosToken ?? tokenizer.eosToken)
        var text = RenderedText()
        try JSONLines.answer { value, output in
            do {
                let conversation = try ConversationParser.conversation(value)
                try renderer.render(conversation, addGenerationPrompt: options.addGenerationPrompt, into: &text)
                output.append(quoting: text.bytes)
            } catch {
                let message = (error as? Rejection)?.detail ?? "\(error)"
                output.append("{\"error\": \(JSONText.quoted(message))}")
            }
        }
    }
}
