import Jinja

/// Finds out how a model's own template writes turns, by small conversations.
enum TurnProbe {
    /// The first answer, and the second.
    static let answers = ["Certainly", "Indeed"]

    /// Two questions with an answer each, or only the first question.
    static func conversation(questions: Int = 2, systemPrompt: String? = nil) -> Conversation {
        var messages = systemPrompt.map { [Message(.system, $0)] } ?? []
        messages.append(Message(.user, "Hi"))
        guard questions > 1 else { return Conversation(messages: messages) }
        messages += [
            Message(.assistant, answers[0]), Message(.user, "Really?"), Message(.assistant, answers[1]),
        ]
        return Conversation(messages: messages)
    }

    /// How the assistant's spans are found in what the template writes.
    ///
    /// - Throws: An error if the template isn't Jinja, or refuses the plainest conversation.
    static func marking(of template: ModelTemplate, _ settings: RenderSettings) throws -> SpanMarking {
        let isMarked = try Template(utf8: template.source, name: template.name).hasGenerationTag
        if isMarked { return .generationTags }
        let renderer = try JinjaRenderer(template, settings, marking: .none)
        return try prompts(renderer).map(SpanMarking.turns) ?? .prefixes
    }

    /// What the template writes before answers; nil if its loops don't tell where messages are.
    private static func prompts(_ renderer: JinjaRenderer) throws(TemplateError) -> TurnPrompts? {
        let question = conversation(questions: 1)
        let asked = try renderer.rendered(question, addGenerationPrompt: true)
        guard let end = asked.marks.elements.map(\.range.upperBound).max() else { return nil }
        let prompt = Array(asked.bytes[end...])

        let talk = conversation()
        let whole = try renderer.rendered(talk, addGenerationPrompt: false)
        let turns = AssistantRanges(talk.messages, whole.marks)
        guard turns.isComplete, let first = turns.ranges.first?.range,
            let answer = ByteSearch.first(Array(answers[0].utf8), in: whole.bytes, first)
        else { return nil }
        let header = whole.bytes[first.lowerBound..<answer]
        let shared = Array(zip(prompt, header).prefix { $0 == $1 }.map(\.0))
        guard !shared.isEmpty || prompt.isEmpty else { return nil }
        // An answer that goes on where the prompt stops stands behind all of it; others behind what they share with it.
        return TurnPrompts(prompts: shared == prompt ? [prompt] : [prompt, shared])
    }
}

extension Message {
    init(_ role: Role, _ text: String) { self.init(role: role, content: Array(text.utf8)) }
}
