/// Renders conversations by a registry entry for one tokenizer.
struct TemplateRenderer: ConversationRenderer {
    let template: ChatTemplate
    private let beginning: [UInt8]
    private let ending: [UInt8]
    private let headers: [Role: [UInt8]]
    private let endOfTurn: [UInt8]
    private let systemPrefix: [UInt8]

    /// - Throws: `TemplateError` if the template needs a token that the tokenizer doesn't name.
    init(_ template: ChatTemplate, bosToken: String?, eosToken: String?) throws(TemplateError) {
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
        _ token: String?, if isNeeded: Bool, _ why: String, _ key: String, _ template: ChatTemplate
    ) throws(TemplateError) -> [UInt8] {
        guard isNeeded else { return [] }
        guard let token else {
            throw TemplateError("template '\(template.name)' \(why), and tokenizer_config.json has no '\(key)'")
        }
        return Array(token.utf8)
    }

    /// Leaves the conversation's text and the assistant's spans in `text`, instead of what was there.
    ///
    /// - Throws: `TemplateError` for a role that the template has no header for, and for tools.
    func render(
        _ conversation: Conversation, addGenerationPrompt: Bool, into text: inout RenderedText
    ) throws(TemplateError) {
        text.removeAll()
        guard conversation.tools == nil, conversation.messages.allSatisfy({ $0.toolCalls == nil }) else {
            throw TemplateError("template '\(template.name)' has no form for tools; the model's own template may")
        }
        text.bytes += beginning
        if conversation.messages.first?.role != .system, let prompt = template.systemPrompt {
            try append(Message(role: .system, content: Array(prompt.utf8)), isFirst: true, to: &text)
        }
        for (i, message) in conversation.messages.enumerated() {
            try append(message, isFirst: i == 0, to: &text)
        }
        if addGenerationPrompt {
            text.bytes += headers[.assistant] ?? []
        } else {
            text.bytes += ending
        }
    }

    private func append(_ message: Message, isFirst: Bool, to text: inout RenderedText) throws(TemplateError) {
        guard let header = headers[message.role] else {
            throw TemplateError("template '\(template.name)' has no header for role \(message.role.rawValue)")
        }
        let isSystem = message.role == .system && isFirst
        text.bytes += header
        if isSystem { text.bytes += systemPrefix }
        let start = text.bytes.count
        if isSystem ? template.trimsSystem : template.trimsContent {
            text.bytes += Self.trimmed(message.content)
        } else {
            text.bytes += message.content
        }
        text.bytes += endOfTurn
        if message.role == .assistant { text.assistantSpans.append(start..<text.bytes.count) }
    }

    /// The content without the space around it, as Jinja's `trim` and so Python's `strip` see space.
    private static func trimmed(_ content: [UInt8]) -> ArraySlice<UInt8> {
        func isSpace(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
        }
        guard let first = content.first, let last = content.last else { return [] }
        // Most content begins and ends with a visible ASCII character.
        if (0x21...0x7E).contains(first), (0x21...0x7E).contains(last) { return content[...] }
        let scalars = String(decoding: content, as: UTF8.self).unicodeScalars
        let before = scalars.prefix(while: isSpace).reduce(0) { $0 + UTF8.width($1) }
        guard before < content.count else { return [] }
        let behind = scalars.reversed().prefix(while: isSpace).reduce(0) { $0 + UTF8.width($1) }
        return content[before..<content.count - behind]
    }
}
