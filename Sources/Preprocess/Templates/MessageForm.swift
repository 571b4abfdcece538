import Jinja
import Shared

/// The form in which a template wants conversations, found out by trying.
struct MessageForm: Equatable, Sendable {
    /// The name under which the template reads thoughts.
    var reasoningKey = Reasoning.keys[0]
    /// Whether content is a list of parts, for templates that don't write a string.
    var contentIsParts = false
    /// Whether the template only takes conversations with tools.
    var needsTools = false
}

extension Message {
    /// The message as templates see it.
    ///
    /// - Parameter tag: What the message is known by in `RenderedMarks`.
    func jinja(tag: Int, _ form: MessageForm) -> Value {
        var members: [(Text, Value)] = [("role", .string(Text(role.rawValue)))]
        members.append(("content", form.contentIsParts ? contentParts : .string(Text(content))))
        if let reasoning { members.append((Text(form.reasoningKey), .string(Text(reasoning)))) }
        for field in fields { members.append((Text(field.name), field.value.jinja)) }
        return .mapping(Mapping(members, tag: tag))
    }

    /// The content as the chat completions API has it in parts: one of text, or none.
    private var contentParts: Value {
        if content.isEmpty { return .list(List([])) }
        return .list(List([.mapping(Mapping([("type", .string("text")), ("text", .string(Text(content)))]))]))
    }
}

extension JSONText {
    /// The value as templates see it.
    var jinja: Value {
        switch self {
        case .object(let members): .mapping(Mapping(members.map { (Text($0.0), $0.1.jinja) }))
        case .array(let elements): .list(List(elements.map(\.jinja)))
        case .string(let text): .string(Text(text))
        case .int(let value): .int(value)
        case .number(let value): .float(value)
        case .bool(let value): .bool(value)
        case .null: .none
        }
    }
}
