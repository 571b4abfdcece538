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
    private let form: MessageForm
    private let turnEnd: TurnEnd?
    /// What may be rendered to find or compare the turns of a conversation.
    var renderingLimits = RenderingBudget.Limits()

    /// - Parameters:
    ///   - systemPrompt: The system message of conversations that have none; nil leaves that to the template.
    ///   - marking: How the assistant's turns are found.
    ///   - turnEnd: What ends turns that end with the next role's marker.
    init(
        _ source: ChatTemplate, _ settings: RenderSettings, variables more: [(String, Bool)] = [],
        systemPrompt: String? = nil, form: MessageForm, marking: SpanMarking, turnEnd: TurnEnd? = nil
    ) throws(JinjaError) {
        template = try Template(utf8: source.source, name: source.name)
        toolTemplate = try source.toolSource.map { (text) throws(JinjaError) in
            try Template(utf8: text, name: "\(source.name) tool_use")
        }
        var variables: [String: Value] = ["documents": .none]
        for token in source.specialTokens { variables[token.name] = .string(Text(token.text)) }
        if let token = settings.bosToken { variables["bos_token"] = .string(Text(token)) }
        if let token = settings.eosToken { variables["eos_token"] = .string(Text(token)) }
        if let date = settings.dateString { variables["date_string"] = .string(Text(date)) }
        for (name, value) in more { variables[name] = .bool(value) }
        if case .object(let members) = settings.variables {
            for (name, value) in members { variables[name] = value.jinja }
        }
        self.variables = variables
        environment = Environment(now: settings.now)
        self.systemPrompt = systemPrompt.flatMap { $0.isEmpty ? nil : Array($0.utf8) }
        self.form = form
        self.marking = marking
        self.turnEnd = turnEnd
    }

    func render(
        _ conversation: Conversation, addGenerationPrompt: Bool, into text: inout RenderedText
    ) throws(TemplateError) {
        text.removeAll()
        let messages = complete(conversation)
        let rendered = try run(messages, conversation.tools, addGenerationPrompt: addGenerationPrompt)
        text.bytes = rendered.bytes
        let ranges = AssistantRanges(messages, rendered.marks)
        switch marking {
        case .none: break
        case .generationTags: text.turns = ranges.naming(try Self.generations(rendered.marks))
        case .turns(let prompts): text.turns = try prompts.turns(in: text.bytes, ranges)
        case .headers(let headers): headers.mark(&text, ranges)
        case .prefixes: text.turns = try prefixTurns(messages, conversation.tools, text.bytes)
        }
        // A message that was put in front isn't the conversation's.
        let added = messages.count - conversation.messages.count
        if added > 0 {
            for index in text.turns.indices { text.turns[index].message = text.turns[index].message.map { $0 - added } }
        }
        if let turnEnd { turnEnd.extend(&text, conversation, isWhole: !addGenerationPrompt) }
        try text.ignoreUnsupervised(conversation.messages)
    }

    /// What a conversation's text is, and where its messages are in it.
    func rendered(_ conversation: Conversation, addGenerationPrompt: Bool) throws(TemplateError) -> Template.Rendered {
        try run(complete(conversation), conversation.tools, addGenerationPrompt: addGenerationPrompt)
    }

    /// The names by which the template can be told something about thoughts, as `enable_thinking`.
    var thoughtVariables: [String] {
        template.freeNames.filter { name in ["think", "reason"].contains { name.contains($0) } }
    }

    /// The messages with a system message in front, if there is to be one.
    private func complete(_ conversation: Conversation) -> [Message] {
        guard let systemPrompt, conversation.messages.first?.role != .system else { return conversation.messages }
        return [Message(role: .system, content: systemPrompt)] + conversation.messages
    }

    private func run(
        _ messages: some Collection<Message>, _ tools: JSONText?, addGenerationPrompt: Bool
    ) throws(TemplateError) -> Template.Rendered {
        var variables = variables
        variables["messages"] = .list(List(messages.enumerated().map { $1.jinja(tag: $0, form) }))
        variables["tools"] = tools?.jinja ?? Value.none
        variables["add_generation_prompt"] = .bool(addGenerationPrompt)
        do {
            return try (tools == nil ? template : toolTemplate ?? template).render(
                variables, environment: environment, limits: Self.limits(messages, tools))
        } catch {
            throw TemplateError(error.kind == .raised ? "\(error.template): \(error.message)" : "\(error)")
        }
    }

    /// What a rendering may cost: in proportion to what is rendered, and in any case what a template needs for itself.
    ///
    /// So a hostile template can't make the probes of a short conversation long, nor each of many records.
    static func limits(_ messages: some Collection<Message>, _ tools: JSONText?) -> Limits {
        let size = messages.reduce(tools?.size ?? 0) { $0 + $1.size }
        var limits = Limits()
        limits.steps = min(limits.steps, 4_000_000 + 2000 * size)
        return limits
    }

    private static func generations(_ marks: RenderedMarks) throws(TemplateError) -> [Range<Int>] {
        guard !marks.hasHiddenGeneration else {
            throw TemplateError(
                "a 'generation' block stands within a macro or a block that is set: its position in the text is unknown"
            )
        }
        return marks.generations
    }

    /// Each turn from where its generation prompt ends, to where the text of a conversation up to it ends.
    private func prefixTurns(
        _ messages: [Message], _ tools: JSONText?, _ whole: [UInt8]
    ) throws(TemplateError) -> [RenderedText.Turn] {
        var turns: [RenderedText.Turn] = []
        var budget = RenderingBudget(textBytes: whole.count, renderingLimits)
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
            guard budget.pay(prompt.count + turn.count) else {
                throw TemplateError(
                    "there are too many turns to find each by rendering the messages up to it (\(budget.description))")
            }
            turns.append(.init(range: prompt.count..<turn.count, message: index))
        }
        return turns
    }
}

extension Message {
    /// About how many bytes and values it has.
    fileprivate var size: Int {
        fields.reduce(16 + content.count + (reasoning?.count ?? 0)) { $0 + $1.value.size }
    }
}

extension JSONText {
    /// About how many bytes and values it has.
    fileprivate var size: Int {
        switch self {
        case .object(let members): members.reduce(1) { $0 + $1.0.utf8.count + $1.1.size }
        case .array(let elements): elements.reduce(1) { $0 + $1.size }
        case .string(let text): 1 + text.utf8.count
        default: 1
        }
    }
}
