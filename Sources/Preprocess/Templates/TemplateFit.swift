import Shared
import Synchronization

/// Which data a model's own template writes as the model does: found out by probes, once for each combination of traits.
final class TemplateFit: Sendable {
    /// What probes of one combination show; nil where all is right.
    struct Verdict: Equatable, Sendable {
        /// Whole conversations, each turn in the text of all.
        var whole: TurnProblem?
        /// A conversation that ends with the turn, as `--row-per-turn` makes of each, and as it is for the last.
        var alone: TurnProblem?
    }

    private let format: ChatFormat
    private let known = Mutex<[DataTraits: Verdict]>([:])
    private let advices = Mutex<[DataTraits: String]>([:])

    init(_ format: ChatFormat) { self.format = format }

    /// - Throws: `TemplateError` if the template can't be parsed or has no probes, as an entry that writes the text itself.
    func verdict(_ traits: DataTraits) throws -> Verdict {
        if let verdict = known.withLock({ $0[traits] }) { return verdict }
        let verdict = try Self.verdict(traits, format)
        known.withLock { $0[traits] = verdict }
        return verdict
    }

    private static func verdict(_ traits: DataTraits, _ format: ChatFormat) throws -> Verdict {
        guard let renderer = try format.makeJinjaRenderer() else {
            throw TemplateError("a built-in entry writes every conversation in one way")
        }
        let check = TurnCheck(renderer: renderer, markers: ThoughtMarkers(nil))
        let talk = TurnProbe.conversation(with: traits, form: format.form)
        var verdict = Verdict()
        verdict.whole = problem(talk, check)
        for index in talk.messages.indices where talk.messages[index].role == .assistant {
            if let problem = problem(talk.prefix(index + 1), check, onlyLastTurn: true) {
                verdict.alone = problem
                break
            }
        }
        guard verdict.whole == nil else { return verdict }
        // Templates treat the last turn apart, and the last question.
        verdict.whole = problem(TurnProbe.conversation(with: traits, goesOn: true, form: format.form), check)
        guard verdict.whole == nil, !traits.isDisjoint(with: .thoughts) else { return verdict }
        for thinking in [0..<1, 2..<3] {
            let some = TurnProbe.conversation(with: traits, thinking: thinking, form: format.form)
            verdict.whole = verdict.whole ?? problem(some, check)
        }
        return verdict
    }

    private static func problem(_ talk: Conversation, _ check: TurnCheck, onlyLastTurn: Bool = false) -> TurnProblem? {
        var text = RenderedText()
        do {
            try check.renderer.render(talk, into: &text)
        } catch {
            return TurnProblem(kind: .refused, message: 0, detail: "\(error)")
        }
        return check.dropped(talk, text, onlyLastTurn: onlyLastTurn)
            ?? check.rewritten(talk, text, onlyLastTurn: onlyLastTurn)
    }

    // MARK: - What to do

    /// What makes data of these traits fit, each way tried; empty if they do, or none is known.
    func advice(_ traits: DataTraits, isAlone: Bool) -> String {
        let key = isAlone ? traits.union(.alone) : traits
        if let advice = advices.withLock({ $0[key] }) { return advice }
        let advice = (try? ways(traits, isAlone: isAlone)) ?? []
        let text =
            advice.isEmpty
            ? "no data of this kind fit this template: give one that writes them with --chat-template FILE.jinja"
            : advice.joined(separator: ", or ")
        advices.withLock { $0[key] = text }
        return text
    }

    private func ways(_ traits: DataTraits, isAlone: Bool) throws -> [String] {
        // Whether other data fit, and what else they need for it.
        func fits(_ traits: DataTraits) throws -> String? {
            let verdict = try verdict(traits)
            if (isAlone ? verdict.alone : verdict.whole) == nil { return "" }
            return !isAlone && verdict.alone == nil ? " with --row-per-turn" : nil
        }
        if try fits(traits) != nil {
            return ["use --row-per-turn (each turn a sample of its own) or --train-only-last-turn"]
        }
        let others = traits.subtracting(.thoughts)
        var ways = try variables(traits, isAlone: isAlone)
        if traits.contains(.reasoning), let also = try fits(others.union(.taggedThoughts)) {
            ways.append("write the thoughts into the answer as <think>…</think>\(also)")
        }
        if traits.contains(.taggedThoughts), let also = try fits(others.union(.reasoning)) {
            ways.append("give the thoughts in a field of their own, 'reasoning_content'\(also)")
        }
        if traits.contains(.systemMessage), let also = try fits(traits.subtracting(.systemMessage)) {
            ways.append("use data without a system message, or put it into the first question\(also)")
        }
        guard traits.isDisjoint(with: .thoughts) else { return ways }
        for thoughts in [DataTraits.taggedThoughts, .reasoning] {
            if let also = try fits(others.union(thoughts)) { ways.append("use data with \(thoughts.name)\(also)") }
        }
        return ways
    }

    /// Variables with which the template writes such data right, as `enable_thinking`.
    private func variables(_ traits: DataTraits, isAlone: Bool) throws -> [String] {
        guard let renderer = try format.makeJinjaRenderer() else { return [] }
        for name in renderer.thoughtVariables {
            for value in [false, true] {
                guard let other = try? format.with(variable: name, value),
                    let verdict = try? Self.verdict(traits, other)
                else { continue }
                let option = "set --chat-template-kwargs '{\"\(name)\": \(value)}', here and where the model is served"
                if (isAlone ? verdict.alone : verdict.whole) == nil { return [option] }
                if !isAlone, verdict.alone == nil { return ["\(option), with --row-per-turn"] }
            }
        }
        return []
    }
}

extension DataTraits {
    /// Marks what is kept for turns that end their text.
    fileprivate static let alone = DataTraits(rawValue: 128)
}
