import Jinja
import Shared

/// Small conversations by which is found out how a model's own template writes turns.
enum TurnProbe {
    /// The answers, in order; the first two are those of `conversation()`.
    static let answers = ["Certainly", "Indeed", "Surely"]
    static let thoughts = ["Perhaps so", "Maybe not", "Who knows"]
    static let questions = ["Hi", "Really?", "Why?", "Since when?"]
    static let system = "Be kind."

    /// Two questions with an answer each, or only the first question.
    static func conversation(
        questions count: Int = 2, systemPrompt: String? = nil, form: MessageForm = MessageForm()
    ) -> Conversation {
        var messages = systemPrompt.map { [Message(.system, $0)] } ?? []
        messages.append(Message(.user, questions[0]))
        if count > 1 {
            messages += [
                Message(.assistant, answers[0]), Message(.user, questions[1]), Message(.assistant, answers[1]),
            ]
        }
        return Conversation(messages: messages, tools: form.needsTools ? tools : nil)
    }

    /// Three questions and answers with what `traits` names.
    ///
    /// - Parameters:
    ///   - thinking: The turns that have thoughts, if there are to be any.
    ///   - goesOn: Whether a fourth question follows the last answer.
    static func conversation(
        with traits: DataTraits, thinking: Range<Int> = 0..<3, goesOn: Bool = false, form: MessageForm
    ) -> Conversation {
        var messages = traits.contains(.systemMessage) ? [Message(.system, system)] : []
        for turn in answers.indices {
            messages.append(Message(.user, questions[turn]))
            let thinks = thinking.contains(turn)
            // With both forms, one after the other has its turn.
            let isTagged = traits.contains(.taggedThoughts) && (!traits.contains(.reasoning) || turn % 2 == 0)
            let thought = thoughts[turn]
            if traits.contains(.toolCalls) {
                var call = Message(.assistant, "")
                call.fields = [.init(name: "tool_calls", value: .array([self.call]))]
                if thinks, traits.contains(.reasoning) { call.reasoning = Array("\(thought) a tool".utf8) }
                var result = Message(.tool, "21")
                result.fields = [
                    .init(name: "name", value: .string("get_weather")),
                    .init(name: "tool_call_id", value: .string("call00001")),
                ]
                messages += [call, result]
            }
            var answer = Message(.assistant, answers[turn])
            if thinks, isTagged {
                answer.content = Array("<think>\n\(thought)\n</think>\n\n\(answers[turn])".utf8)
            } else if thinks, traits.contains(.reasoning) {
                answer.reasoning = Array(thought.utf8)
            }
            messages.append(answer)
        }
        if goesOn { messages.append(Message(.user, questions[3])) }
        let hasTools = traits.contains(.toolCalls) || form.needsTools
        return Conversation(messages: messages, tools: hasTools ? tools : nil)
    }

    private static let call = JSONText.object([
        ("id", .string("call00001")), ("type", .string("function")),
        (
            "function",
            .object([("name", .string("get_weather")), ("arguments", .object([("city", .string("Oslo"))]))])
        ),
    ])

    private static let tools = JSONText.array([
        .object([
            ("type", .string("function")),
            (
                "function",
                .object([
                    ("name", .string("get_weather")), ("description", .string("Weather of a city.")),
                    (
                        "parameters",
                        .object([
                            ("type", .string("object")),
                            (
                                "properties",
                                .object([
                                    (
                                        "city",
                                        .object([("type", .string("string")), ("description", .string("Its name."))])
                                    )
                                ])
                            ),
                            ("required", .array([.string("city")])),
                        ])
                    ),
                ])
            ),
        ])
    ])

    // MARK: - What is found

    /// How the assistant's turns are found in what the template writes.
    ///
    /// - Throws: An error if the template isn't Jinja, or refuses the plainest conversation.
    static func marking(of template: ChatTemplate, _ settings: RenderSettings, _ form: MessageForm) throws
        -> SpanMarking
    {
        let isMarked = try Template(utf8: template.source, name: template.name).hasGenerationTag
        if isMarked { return .generationTags }
        let renderer = try JinjaRenderer(template, settings, form: form, marking: .none)
        return try prompts(renderer, form).map(SpanMarking.turns) ?? .prefixes
    }

    /// What the template writes before answers; nil if its loops don't tell where messages are.
    private static func prompts(_ renderer: JinjaRenderer, _ form: MessageForm) throws(TemplateError) -> TurnPrompts? {
        guard let (prompt, shared) = try prompt(renderer, conversation(form: form), before: 1),
            !shared.isEmpty || prompt.isEmpty
        else { return nil }
        // An answer that continues the generation prompt stands after all of it; others after what they share with it.
        let prompts = shared == prompt ? [prompt] : [prompt, shared]
        // A template without tools writes no answers to them.
        let toTool = (try? self.prompt(renderer, conversation(with: .toolCalls, form: form), before: 3)) ?? nil
        return TurnPrompts(prompts: prompts, afterTool: toTool.map { [$0, $1] } ?? prompts)
    }

    /// The generation prompt for an answer, and what of it the answer's header has in the conversation; nil if loops don't
    /// tell where the answer is.
    private static func prompt(
        _ renderer: JinjaRenderer, _ talk: Conversation, before index: Int
    ) throws(TemplateError) -> (prompt: [UInt8], shared: [UInt8])? {
        let asked = try renderer.rendered(talk.prefix(index), addGenerationPrompt: true)
        guard let end = asked.marks.elements.map(\.range.upperBound).max() else { return nil }
        let prompt = Array(asked.bytes[end...])
        let whole = try renderer.rendered(talk, addGenerationPrompt: false)
        let turns = AssistantRanges(talk.messages, whole.marks)
        guard turns.isComplete, let turn = turns.ranges.first(where: { $0.message == index })?.range,
            let answer = ByteSearch.first(talk.messages[index].content, in: whole.bytes, turn)
        else { return nil }
        let header = whole.bytes[turn.lowerBound..<answer]
        return (prompt, Array(zip(prompt, header).prefix { $0 == $1 }.map(\.0)))
    }

    /// What ends turns that have no end-of-turn token of their own; nil where they have one, or none is known.
    ///
    /// - Parameter endTexts: The texts of the tokens at which the model stops.
    static func turnEnd(_ renderer: JinjaRenderer, _ form: MessageForm, endTexts: [String]) throws(TemplateError)
        -> TurnEnd?
    {
        let ends = endTexts.filter { !$0.isEmpty }.map { Array($0.utf8) }
        guard let afterAnswer = try marker(conversation(form: form), renderer, ends) else { return nil }
        let calling = conversation(with: .toolCalls, form: form)
        // A template without tools has no calls to end.
        let afterCall = (try? marker(calling, renderer, ends)) ?? nil
        return TurnEnd(afterAnswer: afterAnswer, afterCall: afterCall ?? afterAnswer)
    }

    /// The end token that follows the conversation's first turn, if there is none in it.
    private static func marker(
        _ talk: Conversation, _ renderer: JinjaRenderer, _ ends: [[UInt8]]
    ) throws(TemplateError) -> [UInt8]? {
        var text = RenderedText()
        try renderer.render(talk, addGenerationPrompt: false, into: &text)
        guard let turn = text.turns.first?.range,
            !ends.contains(where: { ByteSearch.first($0, in: text.bytes, turn) != nil })
        else { return nil }
        return ends.filter { text.bytes[turn.upperBound...].starts(with: $0) }.max { $0.count < $1.count }
    }
}

extension Message {
    init(_ role: Role, _ text: String) { self.init(role: role, content: Array(text.utf8)) }
}
