import Shared

/// What a record asks to be made into a sample.
struct SourceRow: Equatable {
    enum Content: Equatable {
        case conversation(Conversation)
        /// Text that is already in the model's own format, in UTF-8.
        case preformatted([UInt8])
        /// Tokens, and which of them are supervised.
        case tokens(Sample)
    }

    var id: [UInt8]
    var content: Content
    var repairs: [SourceRecord.Repair] = []
}

/// Reads records of the forms that datasets come in; one thread uses a parser at a time.
///
/// A conversation is an array `conversations` or `messages`, whose elements say who speaks in `from` or `role` and what
/// in `value` or `content`; or it is put together from other keys: see `InstructionForms.swift`. With `isPreformatted`, a
/// record is a string `text`. `input_ids` and `loss_mask` are taken as they are.
///
/// What is mended: messages before the first of the user are left out, as SpecForge leaves them out, but for a system
/// message at the very beginning; and a conversation ends before the first message that can't follow the one before it
/// (an answer without a question, a tool's output without a call).
final class ConversationParser {
    private let parser = JSONParser()
    private let isPreformatted: Bool
    private let needsAnswer: Bool

    /// - Parameter needsAnswer: Whether conversations without the user or the assistant are refused; otherwise what
    ///   mending leaves of them is used, be it nothing.
    init(isPreformatted: Bool, needsAnswer: Bool = true) {
        self.isPreformatted = isPreformatted
        self.needsAnswer = needsAnswer
    }

    /// Reads a record that `JSONParser.padding` readable bytes follow.
    func parse(padded bytes: UnsafeRawBufferPointer) throws(Rejection) -> SourceRow {
        let root: JSONValue
        do {
            root = try parser.parse(padded: bytes)
        } catch {
            throw Rejection(.malformed, error.message)
        }
        return try row(root)
    }

    /// What a record that was read as JSON asks for.
    func row(_ root: JSONValue) throws(Rejection) -> SourceRow {
        guard root.kind == .object else {
            throw Rejection(.notAConversation, "is \(root.kind.withArticle), should be an object")
        }
        let id = Self.id(root)
        if isPreformatted {
            guard let text = root["text"]?.utf8 else {
                throw Rejection(.notAConversation, "has no string 'text', as preformatted records must")
            }
            guard !text.isEmpty else { throw Rejection(.empty, "'text' is empty") }
            guard try Supervision.ofRow(root) else {
                throw Rejection(.tooFewLossTokens, "its '\(Supervision.rowKey)' is 0")
            }
            return SourceRow(id: id, content: .preformatted(Array(text)))
        }
        if let ids = root["input_ids"] {
            var sample = try Self.sample(ids, mask: root["loss_mask"], attention: root["attention_mask"])
            if try !Supervision.ofRow(root) {
                sample.lossMask = Array(repeating: false, count: sample.lossMask.count)
            }
            return SourceRow(id: id, content: .tokens(sample))
        }
        var conversation = try Self.conversation(root)
        let repairs = try Self.repair(&conversation.messages, needsAnswer: needsAnswer)
        return SourceRow(id: id, content: .conversation(conversation), repairs: repairs)
    }

    /// The conversation of a record as it stands, nothing mended.
    static func conversation(_ root: JSONValue) throws(Rejection) -> Conversation {
        var conversation = Conversation(
            id: id(root), messages: try messages(root), tools: try MessageFields.tools(root))
        if try !Supervision.ofRow(root) {
            for index in conversation.messages.indices { conversation.messages[index].isSupervised = false }
        }
        return conversation
    }

    private static func id(_ root: JSONValue) -> [UInt8] {
        guard let id = root["id"] ?? root["prompt_id"] else { return [] }
        if let text = id.utf8 { return Array(text) }
        return id.int.map { Array("\($0)".utf8) } ?? []
    }

    private static func messages(_ root: JSONValue) throws(Rejection) -> [Message] {
        guard let list = root["conversations"] ?? root["messages"] else {
            if let messages = try instructionMessages(root) { return messages }
            let hint = root["text"]?.utf8 == nil ? "" : "; is it preformatted?"
            throw Rejection(
                .notAConversation,
                "has neither 'conversations', 'messages', 'data', 'instruction' nor 'prompt' with 'completion'\(hint)")
        }
        guard list.kind == .array else {
            throw Rejection(.notAConversation, "its messages are \(list.kind.withArticle), should be an array")
        }
        let messages = try messages(in: list)
        guard !messages.isEmpty else { throw Rejection(.empty, "has no messages") }
        return messages
    }

    static func message(_ value: JSONValue, at index: Int) throws(Rejection) -> Message {
        guard value.kind == .object else {
            throw Rejection(.notAConversation, "message \(index) is \(value.kind.withArticle), should be an object")
        }
        guard let name = (value["from"] ?? value["role"])?.utf8 else {
            throw Rejection(.notAConversation, "message \(index) has no string 'from' or 'role'")
        }
        guard let role = Role(name: name) else {
            let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
            let shown = String(decoding: name.prefix(40), as: UTF8.self)
            throw Rejection(.unknownRole, "role '\(shown)' is not one of \(known)")
        }
        var message = Message(
            role: role, content: [], fields: try MessageFields.fields(of: value, at: index),
            reasoning: try Reasoning.of(value, at: index),
            isSupervised: try Supervision.ofMessage(value, at: index))
        let content = value["value"] ?? value["content"]
        if message.toolCalls == nil || !(content?.isNull ?? true) {
            message.content = try Self.content(content, at: index)
        }
        return message
    }

    /// A string, or the texts of an array of parts.
    private static func content(_ value: JSONValue?, at index: Int) throws(Rejection) -> [UInt8] {
        guard let value else { throw Rejection(.notAConversation, "message \(index) has no 'value' or 'content'") }
        if let text = value.utf8 { return Array(text) }
        guard value.kind == .array else {
            throw Rejection(.notAConversation, "the text of message \(index) is \(value.kind.withArticle)")
        }
        var text: [UInt8] = []
        for part in value.elements {
            guard let piece = part.utf8 ?? part["text"]?.utf8 else {
                throw Rejection(.unsupportedContent, "message \(index) has a part that isn't text")
            }
            text += piece
        }
        return text
    }

    /// Mends what can be mended, and refuses conversations without a question or an answer.
    static func repair(
        _ messages: inout [Message], needsAnswer: Bool = true
    ) throws(Rejection) -> [SourceRecord.Repair] {
        var repairs: [SourceRecord.Repair] = []
        let user = messages.firstIndex { $0.role == .user }
        if user == nil, needsAnswer { throw Rejection(.noUser, "none of \(messages.count) messages is the user's") }
        let systemCount = messages.first?.role == .system ? 1 : 0
        let firstUser = user ?? messages.count
        if firstUser > systemCount {
            messages.removeSubrange(systemCount..<firstUser)
            repairs.append(.init(Repair.leadingMessages.rawValue, droppedMessages: firstUser - systemCount))
        }
        func hasAnswer() -> Bool { !needsAnswer || messages.contains { $0.role == .assistant } }
        let total = messages.count
        if let wrong = messages.indices.dropFirst().first(where: {
            !mayFollow(messages[$0 - 1].role, messages[$0].role)
        }) {
            let detail = "\(messages[wrong].role.rawValue) follows \(messages[wrong - 1].role.rawValue)"
            messages.removeSubrange(wrong...)
            guard hasAnswer() else { throw Rejection(.wrongOrder, detail) }
            repairs.append(.init(Repair.wrongOrder.rawValue, droppedMessages: total - wrong))
        }
        guard hasAnswer() else { throw Rejection(.noAssistant, "none of \(total) messages is the assistant's") }
        return repairs
    }

    private static func mayFollow(_ previous: Role, _ role: Role) -> Bool {
        switch role {
        case .user, .system: true
        case .assistant: previous == .user || previous == .tool
        case .tool: previous == .assistant || previous == .tool
        }
    }
}

extension JSONValue.Kind {
    var withArticle: String {
        switch self {
        case .object, .array, .integer: "an \(rawValue)"
        case .null: "null"
        default: "a \(rawValue)"
        }
    }
}
