import Shared

/// Reads the conversation of a record as it stands, nothing mended; see `RecordForms` for the keys.
struct ConversationReader {
    var roles = RoleNames()
    /// Whether a question under a key of its own must have an answer.
    var needsAnswer = true

    func conversation(_ root: JSONValue) throws(Rejection) -> Conversation {
        // A row as the datasets server of the Hugging Face Hub gives it out.
        let root = root.value("row_idx") == nil ? root : root.value("row") ?? root
        var reader = MessageReader(roles)
        var messages = try messages(root, &reader)
        guard !messages.isEmpty else { throw Rejection(.empty, "has no messages") }
        if root.kind == .object {
            try MediaForms.expectNone(root, messages)
            try Self.add(system: Self.system(root), to: &messages)
            if try !Supervision.ofRow(root) {
                for index in messages.indices { messages[index].isSupervised = false }
            }
        }
        return Conversation(
            id: ConversationParser.id(root), messages: messages, tools: try ToolForms.tools(root) ?? reader.tools)
    }

    private func messages(_ root: JSONValue, _ reader: inout MessageReader) throws(Rejection) -> [Message] {
        if root.kind == .array { return try reader.messages(in: root, "the record") }
        guard root.kind == .object else {
            throw Rejection(.notAConversation, "is \(root.kind.withArticle), should be an object")
        }
        var isListed = false
        for key in RecordForms.messageLists {
            guard let list = RecordForms.column(key, of: root) else { continue }
            isListed = true
            let messages = try reader.messages(in: list, "'\(key)'")
            if !messages.isEmpty { return messages }
        }
        if let data = root.value(RecordForms.dialogue), data.kind == .array { return try dialogue(root, data, &reader) }
        if let messages = try instruction(root, &reader) ?? reader.sides(root) { return messages }
        if isListed { return [] }
        throw Rejection(.notAConversation, Self.lack(root))
    }

    /// What a record lacks that has none of the known keys.
    private static func lack(_ root: JSONValue) -> String {
        if RecordForms.roleKeys.firstValue(in: root) != nil {
            return "is a message and no conversation; should be an object with an array 'messages'"
        }
        if root.value("mapping")?.kind == .object {
            return
                "is of ChatGPT's export, whose messages are a tree ('mapping'); write the branch that counts as an array "
                + "'messages'"
        }
        let keys = root.members.prefix(8).map { "'\(String(decoding: $0.key.prefix(40), as: UTF8.self))'" }
        let values = root.members.prefix(1000).map(\.value)
        if !values.isEmpty, values.allSatisfy({ $0.kind == .object }) {
            return
                "is an object of objects (\(keys.joined(separator: ", "))); if these are records, write each on a line: "
                + "jq -c '.[]'"
        }
        if root.value("text")?.utf8 != nil {
            return "has only a 'text'; if it is in the model's own format, build with --is-preformatted"
        }
        if root.value("chosen") != nil, root.value("rejected") != nil {
            return
                "is a pair of answers, one preferred; what was chosen is made an answer by: jq -c '.response = .chosen', or "
                + "by '.messages = .chosen' where it is the whole conversation"
        }
        if let (asked, _) = RecordForms.first(RecordForms.questions, in: root) {
            let answers = RecordForms.answers.map { "'\($0)'" }.joined(separator: ", ")
            return
                "has '\(asked)' and none of \(answers); Preprocess build --prompts and regenerate make answers"
        }
        let own = keys.isEmpty ? "has no keys" : "has only the keys \(keys.joined(separator: ", "))"
        return "\(own); should have \(RecordForms.known)"
    }

    /// UltraChat's form.
    private func dialogue(
        _ root: JSONValue, _ data: JSONValue, _ reader: inout MessageReader
    ) throws(Rejection) -> [Message] {
        let turns = try reader.messages(in: data, "'\(RecordForms.dialogue)'")
        guard let prompt = root.value("prompt")?.utf8, turns.first.map({ !$0.content.elementsEqual(prompt) }) ?? true
        else {
            return turns
        }
        return [Message(role: .user, content: Array(prompt))]
            + turns.enumerated().map { Message(role: $0.isMultiple(of: 2) ? .assistant : .user, content: $1.content) }
    }

    // MARK: - The system's message

    private static func system(_ root: JSONValue) throws(Rejection) -> [UInt8] {
        for key in RecordForms.systems {
            guard let value = RecordForms.column(key, of: root) else { continue }
            let content = try joined(value, key)
            if !content.isEmpty { return content }
        }
        return []
    }

    /// The text of a column that may also be a message, or an array of parts.
    private static func joined(_ value: JSONValue, _ key: String) throws(Rejection) -> [UInt8] {
        if value.kind == .object, let content = RecordForms.contentKeys.firstValue(in: value) {
            return try joined(content, key)
        }
        guard value.kind == .array else { return try text(value, key) }
        var content: [UInt8] = []
        for part in value.elements where !part.isNull { content += try joined(part, key) }
        return content
    }

    /// Puts the text of a column before the others.
    private static func add(system: [UInt8], to messages: inout [Message]) throws(Rejection) {
        guard !system.isEmpty else { return }
        guard let first = messages.first, first.role == .system else {
            messages.insert(Message(role: .system, content: system), at: 0)
            return
        }
        guard first.content.isEmpty || first.content == system else {
            throw Rejection(.wrongOrder, "has a system message, and another one in a column of its own")
        }
        messages[0].content = system
    }

    static func text(_ value: JSONValue, _ key: String) throws(Rejection) -> [UInt8] {
        guard let text = value.utf8 else {
            throw Rejection(.notAConversation, "'\(key)' is \(value.kind.withArticle), should be a string")
        }
        return Array(text)
    }
}
