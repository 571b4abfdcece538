import Jinja
import Shared

/// Renders conversations by a model's own template.
struct JinjaRenderer: ConversationRenderer {
    private let template: Template
    private let toolTemplate: Template?
    private let variables: [String: Value]
    private let environment: Environment
    private let systemPrompt: [UInt8]?
    private let marking: SpanMarking

    /// - Parameters:
    ///   - systemPrompt: The system message of conversations that have none; nil leaves that to the template.
    ///   - marking: How the assistant's spans are found.
    init(
        _ source: ModelTemplate, _ settings: RenderSettings, variables more: [(String, Bool)] = [],
        systemPrompt: String? = nil, marking: SpanMarking
    ) throws(JinjaError) {
        template = try Template(utf8: source.source, name: source.name)
        toolTemplate = try source.toolSource.map { (text) throws(JinjaError) in
            try Template(utf8: text, name: "\(source.name) tool_use")
        }
        var variables: [String: Value] = ["documents": .none]
        for token in source.specialTokens { variables[token.name] = .string(token.text) }
        if let token = settings.bosToken { variables["bos_token"] = .string(token) }
        if let token = settings.eosToken { variables["eos_token"] = .string(token) }
        if let date = settings.dateString { variables["date_string"] = .string(date) }
        for (name, value) in more { variables[name] = .bool(value) }
        if case .object(let members) = settings.variables {
            for (name, value) in members { variables[name] = value.jinja }
        }
        self.variables = variables
        environment = Environment(now: settings.now)
        self.systemPrompt = systemPrompt.flatMap { $0.isEmpty ? nil : Array($0.utf8) }
        self.marking = marking
    }

    func render(
        _ conversation: Conversation, addGenerationPrompt: Bool, into text: inout RenderedText
    ) throws(TemplateError) {
        text.removeAll()
        let messages = complete(conversation)
        let rendered = try run(messages, conversation.tools, addGenerationPrompt: addGenerationPrompt)
        text.bytes = rendered.bytes
        switch marking {
        case .none: break
        case .generationTags: text.assistantSpans = try Self.generations(rendered.marks)
        case .turns(let prompts):
            text.assistantSpans = try prompts.spans(in: text.bytes, AssistantRanges(messages, rendered.marks))
        case .headers(let headers):
            headers.mark(&text, AssistantRanges(messages, rendered.marks))
        case .prefixes:
            text.assistantSpans = try prefixSpans(messages, conversation.tools, text.bytes)
        }
    }

    /// The text of messages as JSON has them, each with all that it has, for `Preprocess render`.
    func text(messages: JSONValue, tools: JSONValue?, addGenerationPrompt: Bool) throws(TemplateError) -> [UInt8] {
        try run(messages.jinja(), tools?.jinja(), addGenerationPrompt: addGenerationPrompt).bytes
    }

    /// What a conversation's text is, and where its messages are in it.
    func rendered(_ conversation: Conversation, addGenerationPrompt: Bool) throws(TemplateError) -> Template.Rendered {
        try run(complete(conversation), conversation.tools, addGenerationPrompt: addGenerationPrompt)
    }

    /// The messages with a system message in front, if there is to be one.
    private func complete(_ conversation: Conversation) -> [Message] {
        guard let systemPrompt, conversation.messages.first?.role != .system else { return conversation.messages }
        return [Message(role: .system, content: systemPrompt)] + conversation.messages
    }

    private func run(
        _ messages: some Collection<Message>, _ tools: JSONText?, addGenerationPrompt: Bool
    ) throws(TemplateError) -> Template.Rendered {
        let values = messages.enumerated().map { $1.jinja(tag: $0) }
        return try run(.list(values), tools?.jinja, addGenerationPrompt: addGenerationPrompt)
    }

    private func run(
        _ messages: Value, _ tools: Value?, addGenerationPrompt: Bool
    ) throws(TemplateError) -> Template.Rendered {
        var variables = variables
        variables["messages"] = messages
        variables["tools"] = tools ?? Value.none
        variables["add_generation_prompt"] = .bool(addGenerationPrompt)
        do {
            return try (tools == nil ? template : toolTemplate ?? template).render(variables, environment: environment)
        } catch {
            throw TemplateError(error.kind == .raised ? "\(error.template): \(error.message)" : "\(error)")
        }
    }

    private static func generations(_ marks: RenderedMarks) throws(TemplateError) -> [Range<Int>] {
        guard !marks.hasHiddenGeneration else {
            throw TemplateError("a 'generation' block stands within a macro or a block that is set: it has no place")
        }
        return marks.generations
    }

    /// Each turn from where the prompt for it ends, to where the text of a conversation up to it ends.
    private func prefixSpans(
        _ messages: [Message], _ tools: JSONText?, _ whole: [UInt8]
    ) throws(TemplateError) -> [Range<Int>] {
        var spans: [Range<Int>] = []
        for index in messages.indices where messages[index].role == .assistant {
            let prompt = try run(messages[..<index], tools, addGenerationPrompt: true).bytes
            guard whole.starts(with: prompt) else {
                throw TemplateError("the template rewrites what stands before message \(index)")
            }
            var turn = try run(messages[...index], tools, addGenerationPrompt: false).bytes
            if !whole.starts(with: turn), case .string(let end) = variables["eos_token"],
                turn.suffix(end.utf8.count).elementsEqual(end.utf8)
            {
                turn.removeLast(end.utf8.count)
            }
            guard whole.starts(with: turn), turn.count >= prompt.count else {
                throw TemplateError("the template rewrites message \(index) when others follow")
            }
            spans.append(prompt.count..<turn.count)
        }
        return spans
    }
}

extension Message {

    /// The message as templates see it.
    func jinja(tag: Int) -> Value {
        var members: [(Text, Value)] = [("role", .string(role.rawValue))]
        members.append(("content", .string(Text(content))))
        for field in fields { members.append((Text(field.name), field.value.jinja)) }
        return .mapping(Mapping(texts: members, tag: tag))
    }
}

extension JSONText {
    /// The value as templates see it.
    var jinja: Value {
        switch self {
        case .object(let members): .mapping(Mapping(texts: members.map { (Text($0.0), $0.1.jinja) }))
        case .array(let elements): .list(elements.map(\.jinja))
        case .string(let text): .string(text)
        case .int(let value): .int(value)
        case .number(let value): .float(value)
        case .bool(let value): .bool(value)
        case .null: .none
        }
    }
}
