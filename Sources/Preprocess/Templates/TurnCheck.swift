import Shared

/// Why a turn doesn't stand in the text as the model would have written it.
struct TurnProblem: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        /// The template leaves out what the data have: thoughts, text or a call.
        case dropped
        /// The template writes a block of thoughts, and the data have theirs in the answer.
        case doubled
        /// The answer doesn't continue the generation prompt.
        case prompt
        /// The text up to the turn's end is a different one once other messages follow.
        case rewritten
        /// The template refuses the conversation up to the turn.
        case refused
        /// What the template writes up to each turn is too much to be compared.
        case tooMuch
    }

    let kind: Kind
    /// The index of the turn's message.
    let message: Int
    /// What is different, shown.
    let detail: String

    /// What is wrong, in a sentence without what to do.
    var sentence: String {
        switch kind {
        case .dropped: "the template leaves out of message \(message) \(detail)"
        case .doubled: "the template writes thoughts of its own before those in message \(message)"
        case .prompt: "message \(message) doesn't continue the generation prompt (\(detail))"
        case .rewritten: "message \(message) or what precedes it is written differently once others follow (\(detail))"
        case .tooMuch: "has too many turns to compare each with what the template writes up to it (\(detail))"
        case .refused: "the template refuses it: \(detail)"
        }
    }

    var reason: Rejection.Reason {
        switch kind {
        case .dropped: .dropped
        case .doubled: .rewritten
        case .prompt: .prompt
        case .rewritten, .tooMuch: .rewritten
        case .refused: .template
        }
    }
}

/// Compares the turns of a rendered conversation with what the model reads and writes, turn by turn.
///
/// A turn is right if the text up to its end begins the conversation's text, where the text up to it is the template's
/// generation prompt for it, and if what the data say is in it. Each turn costs two more renderings, so only conversations
/// are compared that no probe has shown to be right: see `TemplateFit`.
struct TurnCheck {
    let renderer: JinjaRenderer
    let markers: ThoughtMarkers

    init(_ renderer: JinjaRenderer, _ format: ChatFormat) {
        self.renderer = renderer
        markers = format.thoughtMarkers
    }

    /// The first turn that lacks what the data say.
    ///
    /// - Parameter limit: Where the part of the text ends that is used; turns after it don't matter.
    func dropped(
        _ conversation: Conversation, _ text: RenderedText, onlyLastTurn: Bool, limit: Int = .max
    ) -> TurnProblem? {
        for (index, turn) in supervised(conversation, text, onlyLastTurn) where turn.lowerBound < limit {
            let message = conversation.messages[index]
            if let detail = missing(message, text.bytes, turn) {
                return TurnProblem(kind: .dropped, message: index, detail: detail)
            }
            let tag = ThoughtMarkers.tags[0]
            let own = ByteSearch.count(tag, in: message.content, 0..<message.content.count)
            if own > 0, ByteSearch.count(tag, in: text.bytes, turn) > own {
                return TurnProblem(kind: .doubled, message: index, detail: "")
            }
        }
        return nil
    }

    /// The first turn that doesn't continue its generation prompt, or is written differently once others follow.
    func rewritten(
        _ conversation: Conversation, _ text: RenderedText, onlyLastTurn: Bool, limit: Int = .max
    ) -> TurnProblem? {
        // The text up to a turn is about as long as it is in the whole conversation, and rendered twice.
        var budget = RenderingBudget(textBytes: text.bytes.count, renderer.renderingLimits)
        for (message, turn) in supervised(conversation, text, onlyLastTurn) where turn.lowerBound < limit {
            guard budget.pay(2 * turn.upperBound) else {
                return TurnProblem(kind: .tooMuch, message: message, detail: budget.description)
            }
            if let problem = rewritten(conversation, text.bytes, message) { return problem }
        }
        return nil
    }

    private func supervised(
        _ conversation: Conversation, _ text: RenderedText, _ onlyLastTurn: Bool
    ) -> [(message: Int, range: Range<Int>)] {
        (onlyLastTurn ? text.turns.suffix(1) : text.turns[...]).compactMap { turn in
            guard let message = turn.message, conversation.messages[message].isSupervised else { return nil }
            return (message, turn.range)
        }
    }

    // MARK: - The generation prompt

    /// Puts the last turn after its generation prompt, where the template writes what precedes it differently once there
    /// is an answer.
    ///
    /// The engine renders the prompt, and the model's answer continues it: that is the text of a row for the turn.
    /// - Returns: Whether the text was changed. It isn't if it continues the prompt already, nor if the turn begins in
    ///   another way than after the prompt.
    func continuePrompt(_ conversation: Conversation, _ text: inout RenderedText) throws(TemplateError) -> Bool {
        guard let turn = text.turns.last, let message = turn.message, message == conversation.messages.count - 1 else {
            return false
        }
        let prompt = try renderer.rendered(conversation.prefix(message), addGenerationPrompt: true)
        guard !text.bytes.starts(with: prompt.bytes) else { return false }
        let header = prompt.bytes[(prompt.marks.elements.map(\.range.upperBound).max() ?? 0)...]
        guard text.bytes[..<turn.range.lowerBound].suffix(header.count).elementsEqual(header) else { return false }
        text.bytes = prompt.bytes + text.bytes[turn.range.lowerBound...]
        text.removeTurns()
        let start = prompt.bytes.count
        text.turns = [RenderedText.Turn(range: start..<start + turn.range.count, message: message)]
        return true
    }

    // MARK: - What is left out

    private func missing(_ message: Message, _ text: [UInt8], _ turn: Range<Int>) -> String? {
        if let reasoning = message.reasoning {
            let thought = Array(reasoning[...].withoutSpaceAround)
            if !thought.isEmpty, ByteSearch.first(thought, in: text, turn) == nil {
                return "its thoughts, \(Self.shown(thought))"
            }
        }
        let content = Array(message.content[...].withoutSpaceAround)
        if !content.isEmpty, ByteSearch.first(content, in: text, turn) == nil {
            var position = turn.lowerBound
            for part in markers.parts(of: content) {
                guard let found = ByteSearch.first(Array(part), in: text, position..<turn.upperBound) else {
                    let isThought = part.endIndex < content.endIndex
                    return "\(isThought ? "its thoughts" : "its text"), \(Self.shown(Array(part)))"
                }
                position = found + part.count
            }
        }
        for name in message.calledNames where ByteSearch.first(Array(name.utf8), in: text, turn) == nil {
            return "its call of \(JSONText.quoted(name))"
        }
        return nil
    }

    // MARK: - What is written differently

    private func rewritten(_ conversation: Conversation, _ whole: [UInt8], _ message: Int) -> TurnProblem? {
        do {
            let prompt = try renderer.rendered(conversation.prefix(message), addGenerationPrompt: true).bytes
            let answered = try renderer.rendered(conversation.prefix(message + 1), addGenerationPrompt: false)
            let end = answered.marks.elements.map(\.range.upperBound).max() ?? answered.bytes.count
            if !answered.bytes.starts(with: prompt) {
                let about = aboutSystem(conversation, prompt, answered.bytes)
                let detail = Self.difference(prompt, answered.bytes) + about
                return TurnProblem(kind: .prompt, message: message, detail: detail)
            }
            if !whole.starts(with: answered.bytes[..<end]) {
                let about = aboutSystem(conversation, answered.bytes, whole)
                let detail = Self.difference(Array(answered.bytes[..<end]), whole) + about
                return TurnProblem(kind: .rewritten, message: message, detail: detail)
            }
            return nil
        } catch {
            return TurnProblem(kind: .refused, message: message, detail: "\(error)")
        }
    }

    /// What becomes of a first system message between two texts, where that is what tells them apart.
    private func aboutSystem(_ conversation: Conversation, _ before: [UInt8], _ after: [UInt8]) -> String {
        guard let first = conversation.messages.first, first.role == .system,
            let position = ByteSearch.first(first.content, in: before, 0..<before.count)
        else { return "" }
        switch ByteSearch.first(first.content, in: after, 0..<after.count) {
        case position: return ""
        case nil: return "; the template writes the system message only with a question that stands last"
        default: return "; the template moves the system message to the last question"
        }
    }

    /// Where two texts part.
    private static func difference(_ a: [UInt8], _ b: [UInt8]) -> String {
        let same = zip(a, b).prefix { $0 == $1 }.count
        func part(_ bytes: [UInt8]) -> String {
            JSONText.quoted(String(decoding: bytes[max(0, same - 12)..<min(bytes.count, same + 12)], as: UTF8.self))
        }
        return "\(part(a)) and \(part(b))"
    }

    private static func shown(_ text: [UInt8]) -> String {
        let isLong = text.count > 40
        return JSONText.quoted(String(decoding: text.prefix(40), as: UTF8.self) + (isLong ? "…" : ""))
    }
}

extension Message {
    /// The names of the functions that the message calls.
    fileprivate var calledNames: [String] {
        guard case .array(let calls) = toolCalls else { return [] }
        return calls.compactMap { call in
            guard case .string(let name) = call.member("function")?.member("name") ?? call.member("name") else {
                return nil
            }
            return name
        }
    }
}

extension JSONText {
    fileprivate func member(_ name: String) -> JSONText? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.0 == name }?.1
    }
}
