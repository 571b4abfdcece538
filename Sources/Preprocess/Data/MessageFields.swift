import Shared

/// Fields of messages besides role and text: calls of tools, names.
enum MessageFields {
    /// Fields of messages that models' templates know.
    static let known = ["tool_calls", "name", "tool_call_id"]

    static func fields(of message: JSONValue, at index: Int) throws(Rejection) -> [Message.Field] {
        var fields: [Message.Field] = []
        for name in known {
            if name == "tool_calls" {
                if let calls = try ToolForms.calls(of: message, at: index) {
                    fields.append(.init(name: name, value: calls))
                }
            } else if let value = message.value(name) {
                fields.append(.init(name: name, value: JSONText(value)))
            }
        }
        return fields
    }
}
