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
/// Conversations are read by `ConversationReader`. With `isPreformatted`, a record is a string `text`. `input_ids` and
/// `loss_mask` are used as they are.
///
/// What is mended: messages before the first of the user are left out, as SpecForge leaves them out, but for a system
/// message at the very beginning; and a conversation ends before the first message that can't follow the one before it
/// (an answer without a question, a tool's output without a call).
final class ConversationParser {
    private let parser = JSONParser(takesNaN: true)
    private let isPreformatted: Bool
    private let needsAnswer: Bool
    private let reader: ConversationReader

    /// - Parameters:
    ///   - needsAnswer: Whether conversations without the user or the assistant are refused; otherwise what mending leaves
    ///     of them is used, be it nothing.
    ///   - roles: The names of roles.
    init(isPreformatted: Bool, needsAnswer: Bool = true, roles: RoleNames = RoleNames()) {
        self.isPreformatted = isPreformatted
        self.needsAnswer = needsAnswer
        reader = ConversationReader(roles: roles, needsAnswer: needsAnswer)
    }

    /// Reads a record that `JSONParser.padding` readable bytes follow.
    func parse(padded bytes: UnsafeRawBufferPointer) throws(Rejection) -> SourceRow {
        let root: JSONValue
        do {
            root = try parser.parse(padded: bytes)
        } catch {
            throw Rejection(.malformed, error.message + MessageReader.hint(bytes))
        }
        return try row(root)
    }

    /// What a record that was read as JSON asks for.
    func row(_ root: JSONValue) throws(Rejection) -> SourceRow {
        let id = Self.id(root)
        if isPreformatted {
            guard let text = root.value("text")?.utf8 else {
                throw Rejection(.notAConversation, "has no string 'text', as preformatted records must")
            }
            guard !text.isEmpty else { throw Rejection(.empty, "'text' is empty") }
            guard try Supervision.ofRow(root) else {
                throw Rejection(.tooFewLossTokens, "its '\(Supervision.rowKey)' is 0")
            }
            return SourceRow(id: id, content: .preformatted(Array(text)))
        }
        if let ids = root.value("input_ids") {
            var sample = try Self.sample(ids, mask: root.value("loss_mask"), attention: root.value("attention_mask"))
            if try !Supervision.ofRow(root) {
                sample.lossMask = Array(repeating: false, count: sample.lossMask.count)
            }
            return SourceRow(id: id, content: .tokens(sample))
        }
        var conversation = try reader.conversation(root)
        let repairs = try Self.repair(&conversation.messages, needsAnswer: needsAnswer)
        return SourceRow(id: id, content: .conversation(conversation), repairs: repairs)
    }

    /// What a record is called by: its text, or its integer.
    static func id(_ root: JSONValue) -> [UInt8] {
        guard let id = RecordForms.ids.firstValue(in: root) else { return [] }
        if let text = id.utf8 { return Array(text) }
        return id.int.map { Array("\($0)".utf8) } ?? []
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
