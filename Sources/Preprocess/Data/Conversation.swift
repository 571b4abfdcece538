import Shared

/// A conversation as a chat template renders it.
struct Conversation: Equatable, Sendable {
    /// The record's own `id` in UTF-8; empty if it has none.
    var id: [UInt8] = []
    var messages: [Message]
    /// The tools that the model may call, as the record has them.
    var tools: JSONText?

    /// The indices of the assistant's messages that are supervised.
    var turns: [Int] { messages.indices.filter { messages[$0].role == .assistant && messages[$0].isSupervised } }

    /// The same with its first messages only.
    func prefix(_ count: Int) -> Conversation {
        var part = self
        part.messages.removeSubrange(count...)
        return part
    }
}

/// One message of a conversation.
struct Message: Equatable, Sendable {
    var role: Role
    /// UTF-8; empty where a call of a tool stands alone, as engines give it to templates.
    var content: [UInt8]
    /// Other fields of the message, as `tool_calls` and `name`.
    var fields: [Field] = []
    /// What it thinks before its content, in UTF-8; see `Reasoning`.
    var reasoning: [UInt8]?
    /// Whether the message is supervised if it is the assistant's; see `Supervision`.
    var isSupervised = true

    struct Field: Equatable, Sendable {
        var name: String
        var value: JSONText
    }

    var toolCalls: JSONText? { fields.first { $0.name == "tool_calls" }?.value }
}
