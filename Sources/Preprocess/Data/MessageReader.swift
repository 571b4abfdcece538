import Shared

/// Reads the messages of a record, in any of the forms that datasets have them in.
struct MessageReader {
    let roles: RoleNames
    /// The tools that a system message names.
    private(set) var tools: JSONText?

    init(_ roles: RoleNames) { self.roles = roles }

    /// The messages of a list: objects with roles; strings of the user and the assistant by turns; objects of a question
    /// and an answer whose keys are the roles; the same as text of JSON, in a list of its own, or as columns.
    ///
    /// Nulls, and messages of nothing but nulls, are what tables fill up rows with.
    mutating func messages(in list: JSONValue, _ name: String) throws(Rejection) -> [Message] {
        if let text = list.utf8 {
            let parser = JSONParser(takesNaN: true)
            defer { withExtendedLifetime(parser) {} }
            let value: JSONValue
            do {
                value = try parser.parse(text)
            } catch {
                throw Rejection(
                    .notAConversation,
                    "\(name) is text that isn't JSON, should be an array of messages\(Self.hint(UnsafeRawBufferPointer(text)))"
                )
            }
            guard value.kind != .string else { throw Rejection(.notAConversation, "\(name) is text in text") }
            return try messages(in: value, name)
        }
        if list.kind == .object { return try columns(list, name) }
        guard list.kind == .array else {
            throw Rejection(.notAConversation, "\(name) is \(list.kind.withArticle), should be an array")
        }
        let elements = list.elements.filter { !$0.isNull }
        if elements.count == 1, elements[0].kind == .array { return try messages(in: elements[0], name) }
        if let pairs = Self.pairs(elements) { return pairs }
        var messages: [Message] = []
        for element in elements { try append(element, to: &messages) }
        return messages
    }

    /// The messages of a list of pairs, as `[["q", "a"], ["r", "b"]]`; nil if it is another list.
    private static func pairs(_ elements: [JSONValue]) -> [Message]? {
        var messages: [Message] = []
        for element in elements {
            let sides = Array(element.elements)
            guard sides.count == 2, let asked = sides[0].utf8, let answered = sides[1].utf8 else { return nil }
            messages.append(Message(role: .user, content: Array(asked)))
            messages.append(Message(role: .assistant, content: Array(answered)))
        }
        return messages
    }

    /// What to do about text that isn't JSON, where that is plain.
    static func hint(_ text: UnsafeRawBufferPointer) -> String {
        let isUTF8 = String(validating: text, as: UTF8.self) != nil
        if !isUTF8 { return "; if it is in Latin-1, this makes it UTF-8: iconv -f LATIN1 -t UTF-8" }
        let shown = String(decoding: text.prefix(1 << 16), as: UTF8.self)
        if shown.contains("{'") { return "; it is Python's repr, and json.dumps writes JSON" }
        let marks = shown.lowercased()
        if let user = ["user:", "human:"].first(where: marks.contains), marks.contains("assistant:") {
            return
                "; turns that are marked within a text by \(user.uppercased()) and ASSISTANT: must be made messages with "
                + "roles"
        }
        return ""
    }

    private mutating func append(_ element: JSONValue, to messages: inout [Message]) throws(Rejection) {
        let index = messages.count
        if let text = element.utf8 {
            messages.append(Message(role: index.isMultiple(of: 2) ? .user : .assistant, content: Array(text)))
            return
        }
        guard element.kind == .object else {
            throw Rejection(.notAConversation, "message \(index) is \(element.kind.withArticle), should be an object")
        }
        guard let role = RecordForms.roleKeys.firstValue(in: element) else {
            if element.members.allSatisfy({ $0.value.isNull }) { return }
            guard let sides = try sides(element, at: index) else {
                throw Rejection(.notAConversation, "message \(index) has no string 'from' or 'role'")
            }
            messages += sides
            return
        }
        guard let name = role.utf8 else {
            throw Rejection(.notAConversation, "message \(index) has no string 'from' or 'role'")
        }
        switch roles.meaning(of: name) {
        case .role(let role)?: messages.append(try message(element, role, at: index))
        case .call?: try appendCall(element, to: &messages)
        case nil:
            let shown = String(decoding: name.prefix(40), as: UTF8.self)
            throw Rejection(
                .unknownRole, "role '\(shown)' is none of \(RoleNames.list); --role-map NAME=ROLE says which it is")
        }
    }

    private mutating func message(_ value: JSONValue, _ role: Role, at index: Int) throws(Rejection) -> Message {
        var message = Message(
            role: role, content: [], fields: try MessageFields.fields(of: value, at: index),
            reasoning: try Reasoning.of(value, at: index), isSupervised: try Supervision.ofMessage(value, at: index))
        if role == .system, let named = try ToolForms.tools(value) { tools = named }
        message.content = try content(of: value, role, message.toolCalls != nil, at: index)
        return message
    }

    /// Adds calls of tools to the assistant's message before, or as one of their own.
    private func appendCall(_ value: JSONValue, to messages: inout [Message]) throws(Rejection) {
        let index = messages.count
        let isSupervised = try Supervision.ofMessage(value, at: index)
        let calls = try ToolForms.calls(in: RecordForms.contentKeys.firstValue(in: value), at: index)
        guard var last = messages.last, last.role == .assistant, last.isSupervised == isSupervised else {
            let field = Message.Field(name: "tool_calls", value: .array(calls))
            messages.append(Message(role: .assistant, content: [], fields: [field], isSupervised: isSupervised))
            return
        }
        if let i = last.fields.firstIndex(where: { $0.name == "tool_calls" }),
            case .array(let earlier) = last.fields[i].value
        {
            last.fields[i].value = .array(earlier + calls)
        } else {
            last.fields.insert(.init(name: "tool_calls", value: .array(calls)), at: 0)
        }
        messages[index - 1] = last
    }

    /// The messages of an object whose keys are the roles, as `{"human": "…", "assistant": "…"}`, or those of questions and
    /// answers; nil if it is something else.
    ///
    /// Keys may be sorted, so that their order says nothing: the question goes before its answer.
    private func sides(_ value: JSONValue, at index: Int) throws(Rejection) -> [Message]? {
        var sides: [Role: Message] = [:]
        for member in value.members where !member.value.isNull {
            let key = String(decoding: member.key, as: UTF8.self)
            if Reasoning.keys.contains(key) || Supervision.messageKeys.contains(key) { continue }
            let role = role(ofKey: key)
            guard let text = member.value.utf8 else {
                if role != nil { return nil }
                continue
            }
            guard let role, sides[role] == nil else {
                if RecordForms.ids.contains(key) { continue }
                return nil
            }
            sides[role] = Message(role: role, content: Array(text))
        }
        guard sides[.user] != nil || sides[.assistant] != nil else { return nil }
        sides[.assistant]?.reasoning = try Reasoning.of(value, at: index)
        sides[.assistant]?.isSupervised = try Supervision.ofMessage(value, at: index)
        return [Role.system, .user, .assistant].compactMap { sides[$0] }
    }

    private func role(ofKey key: String) -> Role? {
        if case .role(let role)? = roles.meaning(of: key.utf8), role != .tool { return role }
        if RecordForms.questions.contains(key) { return .user }
        return RecordForms.answers.contains(key) ? .assistant : nil
    }

    /// A record whose own columns are the two sides, as `{"user": "…", "assistant": "…"}`; nil if it is something else.
    ///
    /// Names that are also those of other columns, as `model`, don't count.
    func sides(_ record: JSONValue) -> [Message]? {
        func text(_ names: [String]) -> [UInt8]? {
            for name in names { if let text = RecordForms.column(name, of: record)?.utf8 { return Array(text) } }
            return nil
        }
        guard let asked = text(RecordForms.userSides), let answered = text(RecordForms.assistantSides) else {
            return nil
        }
        return [Message(role: .user, content: asked), Message(role: .assistant, content: answered)]
    }

    /// The messages of a table by columns, as `{"from": ["human", "gpt"], "value": ["…", "…"]}`.
    private mutating func columns(_ list: JSONValue, _ name: String) throws(Rejection) -> [Message] {
        guard let from = RecordForms.roleKeys.firstValue(in: list),
            let contents = RecordForms.contentKeys.firstValue(in: list),
            from.kind == .array, contents.kind == .array
        else {
            let keys = list.members.prefix(8).map { "'\(String(decoding: $0.key.prefix(40), as: UTF8.self))'" }
            throw Rejection(
                .notAConversation,
                "\(name) is an object with \(keys.joined(separator: ", ")), should be an array of messages; a table that "
                    + "pandas wrote by columns should be written with orient='records', lines=True")
        }
        let (names, texts) = (Array(from.elements), Array(contents.elements))
        guard names.count == texts.count else {
            throw Rejection(.notAConversation, "\(name) has \(names.count) roles and \(texts.count) texts")
        }
        for member in list.members where member.value.kind == .array {
            let key = String(decoding: member.key, as: UTF8.self)
            let isRead = RecordForms.roleKeys.contains(key) || RecordForms.contentKeys.contains(key)
            guard isRead || member.value.elements.allSatisfy(\.isNull) else {
                throw Rejection(.unsupportedContent, "\(name) has a column '\(key)', which can't be read from columns")
            }
        }
        var messages: [Message] = []
        for (from, text) in zip(names, texts) where !(from.isNull && text.isNull) {
            let index = messages.count
            guard let name = from.utf8, case .role(let role)? = roles.meaning(of: name), let text = text.utf8 else {
                throw Rejection(.notAConversation, "message \(index) has no known role or no text")
            }
            messages.append(Message(role: role, content: Array(text)))
        }
        return messages
    }

    // MARK: - Content

    private func content(
        of value: JSONValue, _ role: Role, _ hasCalls: Bool, at index: Int
    ) throws(Rejection) -> [UInt8] {
        guard let content = RecordForms.contentKeys.firstValue(in: value) else {
            // Where a call stands alone, and where a tool gives nothing back.
            let isNull = RecordForms.contentKeys.contains { value[$0] != nil }
            if hasCalls || (role == .tool && isNull) { return [] }
            throw Rejection(
                .notAConversation,
                isNull ? "the text of message \(index) is null" : "message \(index) has no 'value' or 'content'")
        }
        if let text = content.utf8 { return Array(text) }
        if content.kind == .array, let text = try text(of: content, at: index, isTool: role == .tool) { return text }
        guard role == .tool else {
            throw Rejection(.notAConversation, "the text of message \(index) is \(content.kind.withArticle)")
        }
        let json = JSONText(content)
        guard json.isFinite else {
            throw Rejection(.unsupportedContent, "the text of message \(index) is NaN or Infinity")
        }
        return Array(json.compact.utf8)
    }

    /// The texts of an array of parts; nil if it isn't one and a tool gave it back.
    private func text(of parts: JSONValue, at index: Int, isTool: Bool) throws(Rejection) -> [UInt8]? {
        var text: [UInt8] = []
        for part in parts.elements {
            guard let piece = part.utf8 ?? part["text"]?.utf8 else {
                if isTool { return nil }
                throw Rejection(
                    .unsupportedContent,
                    "message \(index) has \(MediaForms.name(ofPart: part)); only text can be trained on")
            }
            text += piece
        }
        return text
    }
}

extension [String] {
    /// The value of the first of these keys that an object has and that isn't null.
    func firstValue(in object: JSONValue) -> JSONValue? {
        for key in self { if let value = object.value(key) { return value } }
        return nil
    }
}
