import Shared

/// `Preprocess render`: conversations in, the text of a template out.
struct RenderOptions: Options {
    static let summary = "Reads a conversation a line and writes its text by a chat template, a JSON string a line."

    var format = ChatFormatOptions()
    @Option("Text of the bos token, if not tokenizer_config.json's.") var bosToken: String?
    @Option("Text of the eos token, if not tokenizer_config.json's.") var eosToken: String?
    @Flag("End with an assistant's header, for the model to go on.") var addGenerationPrompt
}

enum RenderCommand {
    static let command = Command("render", RenderOptions.self, body: run)

    /// A line that can't be rendered is answered by an object with `error`, and the others go on.
    @Sendable private static func run(_ options: RenderOptions) throws {
        let (format, _) = try options.format.load(bosToken: options.bosToken, eosToken: options.eosToken)
        let renderer = try format.makeRenderer()
        let own = try format.makeJinjaRenderer()
        var text = RenderedText()
        try JSONLines.answer { value, output in
            do {
                if let own, format.entry == nil, let messages = value["messages"], messages.kind == .array {
                    // As they stand: what a template makes of fields and forms that are none of the datasets'.
                    text.bytes = try own.text(
                        messages: messages, tools: value["tools"].flatMap { $0.isNull ? nil : $0 },
                        addGenerationPrompt: options.addGenerationPrompt)
                } else {
                    let conversation = try ConversationParser.conversation(value)
                    try renderer.render(conversation, addGenerationPrompt: options.addGenerationPrompt, into: &text)
                }
                output.append(quoting: text.bytes)
            } catch {
                let message = (error as? Rejection)?.detail ?? "\(error)"
                output.append("{\"error\": \(JSONText.quoted(message))}")
            }
        }
    }
}
