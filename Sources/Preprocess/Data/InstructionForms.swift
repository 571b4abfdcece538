import Shared

/// Conversations that aren't an array of messages with roles.
///
/// | form | keys |
/// | --- | --- |
/// | UltraChat | `data`: strings, the user's and the assistant's by turns; a `prompt` that isn't the first is put before |
/// | Alpaca | `instruction`, and below it `input` if there is one; `output`; `history`, earlier pairs; `system` |
/// | prompt and completion | `prompt` and `completion` or `response`: strings, or arrays of messages; `system` |
extension ConversationParser {
    /// The messages of a record in one of these forms; nil if it is in none.
    static func instructionMessages(_ root: JSONValue) throws(Rejection) -> [Message]? {
        if let data = root["data"], data.kind == .array { return try dialogue(root, data) }
        if root["instruction"] != nil { return try instruction(root) }
        if let prompt = root["prompt"], let completion = root["completion"] ?? root["response"] {
            return try system(root) + messages(prompt, .user, "prompt") + messages(completion, .assistant, "completion")
        }
        return nil
    }

    /// An array's messages: objects with roles, or strings of the user and the assistant by turns.
    static func messages(in list: JSONValue) throws(Rejection) -> [Message] {
        var messages: [Message] = []
        for element in list.elements {
            if let text = element.utf8 {
                let role: Role = messages.count.isMultiple(of: 2) ? .user : .assistant
                messages.append(Message(role: role, content: Array(text)))
            } else {
                messages.append(try message(element, at: messages.count))
            }
        }
        return messages
    }

    private static func dialogue(_ root: JSONValue, _ data: JSONValue) throws(Rejection) -> [Message] {
        let turns = try messages(in: data)
        guard let prompt = root["prompt"]?.utf8, turns.first.map({ !$0.content.elementsEqual(prompt) }) ?? true else {
            return turns
        }
        return [Message(role: .user, content: Array(prompt))]
            + turns.enumerated().map { Message(role: $0.isMultiple(of: 2) ? .assistant : .user, content: $1.content) }
    }

    private static func instruction(_ root: JSONValue) throws(Rejection) -> [Message] {
        var messages = try system(root)
        let history: [JSONValue] = root["history"].map { Array($0.elements) } ?? []
        for pair in history {
            let texts = pair.elements.compactMap { $0.utf8 }
            guard texts.count == 2 else {
                throw Rejection(.notAConversation, "'history' has an element that isn't two strings")
            }
            messages.append(Message(role: .user, content: Array(texts[0])))
            messages.append(Message(role: .assistant, content: Array(texts[1])))
        }
        var question = try text(root, "instruction")
        if let input = root["input"], !input.isNull {
            let input = try text(root, "input")
            if !input.isEmpty { question += [UInt8(ascii: "\n")] + input }
        }
        messages.append(Message(role: .user, content: question))
        messages.append(Message(role: .assistant, content: try text(root, "output")))
        return messages
    }

    private static func messages(_ value: JSONValue, _ role: Role, _ key: String) throws(Rejection) -> [Message] {
        if let text = value.utf8 { return [Message(role: role, content: Array(text))] }
        guard value.kind == .array else {
            throw Rejection(.notAConversation, "'\(key)' is \(value.kind.withArticle), should be a string or an array")
        }
        var messages: [Message] = []
        for element in value.elements { messages.append(try message(element, at: messages.count)) }
        return messages
    }

    private static func system(_ root: JSONValue) throws(Rejection) -> [Message] {
        guard let system = root["system"], !system.isNull else { return [] }
        let content = try text(root, "system")
        return content.isEmpty ? [] : [Message(role: .system, content: content)]
    }

    private static func text(_ root: JSONValue, _ key: String) throws(Rejection) -> [UInt8] {
        guard let value = root[key] else { throw Rejection(.notAConversation, "has no '\(key)'") }
        guard let text = value.utf8 else {
            throw Rejection(.notAConversation, "'\(key)' is \(value.kind.withArticle), should be a string")
        }
        return Array(text)
    }
}
