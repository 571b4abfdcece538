/// The keys by which datasets have conversations: one table for the reader, the scanner's recovery and the documents.
enum RecordForms {
    /// Arrays of messages; the first that isn't empty counts.
    static let messageLists = ["conversations", "messages", "conversation", "dialogue", "dialog", "chat", "turns"]
    /// UltraChat's array of texts by turns, which may be messages too.
    static let dialogue = "data"
    /// What one side asks, and what the other answers; each may also be an array of messages.
    static let questions = ["instruction", "question", "query", "prompt", "problem", "input"]
    static let answers = ["output", "response", "answer", "completion", "solution"]
    /// What stands below an instruction.
    static let contexts = ["input", "context"]
    /// A system message in a column of its own.
    static let systems = ["system", "system_prompt", "system_message"]
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

    /// Whether an object with these keys is a record, and no message or another part of one.
    static func isRecord(keys: [String]) -> Bool {
        if keys.contains(where: roleKeys.contains) { return false }
        if keys.contains(where: { messageLists.contains($0) || [dialogue, "input_ids", "row"].contains($0) }) {
            return true
        }
        if keys.contains("text") { return !keys.contains("type") }
        return keys.contains(where: questions.contains) && keys.contains(where: answers.contains)
    }
}
