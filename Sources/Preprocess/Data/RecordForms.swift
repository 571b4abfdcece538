import Shared

/// The keys by which datasets have conversations: one table for the reader, the scanner's recovery and the documents.
enum RecordForms {
    /// Arrays of messages; the first that isn't empty counts.
    static let messageLists = [
        "conversations", "messages", "conversation", "dialogue", "dialog", "chat", "turns", "contents",
    ]
    /// UltraChat's array of texts by turns, which may be messages too.
    static let dialogue = "data"
    /// What one side asks, and what the other answers; each may also be an array of messages.
    static let questions = ["instruction", "question", "query", "prompt", "problem", "input", "inputs", "context"]
    /// The worked solution goes before a bare answer, which is often only what it comes to.
    static let answers = ["output", "response", "completion", "solution", "answer", "target", "targets"]
    /// Calls of tools in a column, as JSON or text of it, which are the answer.
    static let calls = "answers"
    /// The two sides of a record of one question and one answer, by who they are.
    static let userSides = ["user", "human"]
    static let assistantSides = ["assistant", "gpt", "chatbot", "bot", "ai"]
    /// What stands below an instruction.
    static let contexts = ["input", "context"]
    /// A system message in a column of its own.
    static let systems = ["system", "system_prompt", "system_message", "system_instruction", "systemInstruction"]
    /// What a record is called by in reports.
    static let ids = ["id", "prompt_id", "conversation_id", "conversation_hash", "uuid"]

    /// Who a message is from.
    static let roleKeys = ["from", "role"]
    /// A message's text.
    static let contentKeys = ["value", "content", "parts", "text"]

    static var known: String {
        func list(_ keys: [String]) -> String { keys.map { "'\($0)'" }.joined(separator: ", ") }
        return "an array \(list(messageLists + [dialogue])), or one of \(list(questions)) with one of \(list(answers))"
    }

    /// The value of a column, whose name may begin with a capital too; nil for none.
    static func column(_ key: String, of record: JSONValue) -> JSONValue? {
        record.value(key) ?? record.value(key.prefix(1).uppercased() + key.dropFirst())
    }

    /// The first of these columns that a record has.
    static func first(
        _ keys: [String], in record: JSONValue, except other: String? = nil
    ) -> (key: String, value: JSONValue)? {
        for key in keys where key != other { if let value = column(key, of: record) { return (key, value) } }
        return nil
    }

    /// Whether an object with these keys is a record, and no message or another part of one.
    static func isRecord(keys: [String]) -> Bool {
        if keys.contains(where: roleKeys.contains) { return false }
        if isConversation(keys: keys) || keys.contains(where: [dialogue, "row"].contains) { return true }
        return keys.contains("text") && !keys.contains("type")
    }

    /// Whether an object with these keys has messages, tokens, or a question and an answer.
    static func isConversation(keys: [String]) -> Bool {
        keys.contains { messageLists.contains($0) || $0 == "input_ids" }
            || keys.contains(where: questions.contains) && keys.contains { answers.contains($0) || $0 == calls }
    }
}
