/// Renders conversations by a registry entry for one tokenizer.
struct TemplateRenderer: ConversationRenderer {
    let template: HeaderTemplate
    private let beginning: [UInt8]
    private let ending: [UInt8]
    private let headers: [Role: [UInt8]]
    private let endOfTurn: [UInt8]
    private let systemPrefix: [UInt8]

    /// - Throws: `TemplateError` if the template needs a token that the tokenizer doesn't name.
    init(_ template: HeaderTemplate, bosToken: String?, eosToken: String?) throws(TemplateError) {
        guard template.rendersText, let systemHeader = template.systemHeader else {
            throw TemplateError(
                "template '\(template.name)' only marks the assistant's turns in what the model's own template writes, "
                    + "and the model's directory has none")
        }
        self.template = template
        beginning = try Self.token(
            bosToken, if: template.beginsWithBOS, "begins with the bos token", "bos_token", template)
        ending = try Self.token(eosToken, if: template.endsWithEOS, "ends with the eos token", "eos_token", template)
        var headers: [Role: [UInt8]] = [
            .system: Array(systemHeader.utf8), .user: Array(template.userHeader.utf8),
            .assistant: Array(template.assistantHeader.utf8),
        ]
        headers[.tool] = template.toolHeader.map { Array($0.utf8) }
        self.headers = headers
        endOfTurn = Array(template.endOfTurnToken.utf8)
        systemPrefix = Array(template.systemPrefix.utf8)
    }

    private static func token(
        _ token: String?, if isNeeded: Bool, _ why: String, _ key: String, _ template: HeaderTemplate
    ) throws(TemplateError) -> [UInt8] {
        guard isNeeded else { return [] }
        guard let token else {
            throw TemplateError("template '\(template.name)' \(why), and tokenizer_config.json has no '\(key)'")
        }
        return Array(token.utf8)
    }

    /// Leaves the conversation's text and the assistant's turns in `text`, instead of what was there.
    ///
    /// - Throws: `TemplateError` for a role that the template has no header for, for tools and for thoughts.
    func render(
        _ conversation: Conversation, addGenerationPrompt: Bool, into text: inout RenderedText
    ) throws(TemplateError) {
        text.removeAll()
        guard conversation.tools == nil, conversation.messages.allSatisfy({ $0.toolCalls == nil }) else {
            throw TemplateError("template '\(template.name)' has no form for tools; the model's own template may")
        }
        if let index = conversation.messages.firstIndex(where: { $0.role == .assistant && $0.reasoning != nil }) {
            throw TemplateError(
                "template '\(template.name)' has no form for the thoughts of message \(index); write them into its content"
            )
        }
        text.bytes += beginning
        if conversation.messages.first?.role != .system, let prompt = template.systemPrompt {
            try append(Message(role: .system, content: Array(prompt.utf8)), isFirst: true, to: &text)
        }
        for (i, message) in conversation.messages.enumerated() {
            let range = try append(message, isFirst: i == 0, to: &text)
            if message.role == .assistant { text.turns.append(.init(range: range, message: i)) }
        }
        if addGenerationPrompt {
            text.bytes += headers[.assistant] ?? []
        } else {
            text.bytes += ending
        }
        try text.ignoreUnsupervised(conversation.messages)
    }

    /// - Returns: The range of the content with its end-of-turn token.
    @discardableResult
    private func append(
        _ message: Message, isFirst: Bool, to text: inout RenderedText
    ) throws(TemplateError) -> Range<Int> {
        guard let header = headers[message.role] else {
            throw TemplateError("template '\(template.name)' has no header for role \(message.role.rawValue)")
        }
        let isSystem = message.role == .system && isFirst
        text.bytes += header
        if isSystem { text.bytes += systemPrefix }
        let start = text.bytes.count
        if isSystem ? template.trimsSystem : template.trimsContent {
            text.bytes += message.content[...].withoutSpaceAround
        } else {
            text.bytes += message.content
        }
        text.bytes += endOfTurn
        return start..<text.bytes.count
    }
}
