import Shared
import Synchronization

/// Which data a model's own template writes as the model does: found out by probes, once for each combination of traits.
final class TemplateFit: Sendable {
    /// What of a conversation is supervised in one text.
    enum Mode: CaseIterable, Hashable, Sendable {
        /// Each turn, in the text of all.
        case whole
        /// The last turn, as with `--train-only-last-turn`.
        case lastTurn
        /// The turn that ends the text, as with `--row-per-turn`, which puts it after its generation prompt.
        case row

        init(isRowPerTurn: Bool, onlyLastTurn: Bool) { self = isRowPerTurn ? .row : onlyLastTurn ? .lastTurn : .whole }
    }

    /// What probes of one combination show for each mode; nil where all is right.
    typealias Verdict = [Mode: TurnProblem]

    private let format: ChatFormat
    private let known = Mutex<[DataTraits: Verdict]>([:])
    private let advices = Mutex<[Advised: String]>([:])

    private struct Advised: Hashable {
        let traits: DataTraits
        let mode: Mode
    }

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
        let check = TurnCheck(renderer, format)
        let talk = TurnProbe.conversation(with: traits, form: format.form)
        var verdict = Verdict()
        verdict[.whole] = problem(talk, check, .whole)
        let turns = talk.turns.map { talk.prefix($0 + 1) }
        for mode in [Mode.lastTurn, .row] {
            verdict[mode] = turns.lazy.compactMap { problem($0, check, mode) }.first
        }
        guard verdict[.whole] == nil else { return verdict }
        // Templates treat the last turn apart, and the last question.
        var others = [TurnProbe.conversation(with: traits, goesOn: true, form: format.form)]
        if !traits.isDisjoint(with: .thoughts) {
            others += [0..<1, 2..<3].map {
                TurnProbe.conversation(with: traits, thinking: $0, form: format.form)
            }
        }
        verdict[.whole] = others.lazy.compactMap { problem($0, check, .whole) }.first
        return verdict
    }

    private static func problem(_ talk: Conversation, _ check: TurnCheck, _ mode: Mode) -> TurnProblem? {
        var text = RenderedText()
        let isRight: Bool
        do {
            try check.renderer.render(talk, into: &text)
            isRight = try mode == .row && check.continuePrompt(talk, &text)
        } catch {
            return TurnProblem(kind: .refused, message: 0, detail: "\(error)")
        }
        let onlyLastTurn = mode != .whole
        return check.dropped(talk, text, onlyLastTurn: onlyLastTurn)
            ?? (isRight ? nil : check.rewritten(talk, text, onlyLastTurn: onlyLastTurn))
    }

    // MARK: - What to do

    /// What makes data of these traits fit, each way tried; empty if they do, or none is known.
    func advice(_ traits: DataTraits, _ mode: Mode) -> String {
        let key = Advised(traits: traits, mode: mode)
        if let advice = advices.withLock({ $0[key] }) { return advice }
        let advice = (try? ways(traits, mode)) ?? []
        let text =
            advice.isEmpty
            ? "no data of this kind fit this template: give one that writes them with --chat-template FILE.jinja"
            : advice.joined(separator: ", or ")
        advices.withLock { $0[key] = text }
        return text
    }

    private func ways(_ traits: DataTraits, _ mode: Mode) throws -> [String] {
        // Whether other data fit, and what else they need for it.
        func fits(_ traits: DataTraits) throws -> String? {
            let verdict = try self.verdict(traits)
            if verdict[mode] == nil { return "" }
            return mode != .row && verdict[.row] == nil ? " with --row-per-turn" : nil
        }
        let verdict = try self.verdict(traits)
        if mode != .row, verdict[.row] == nil {
            let last = mode == .whole && verdict[.lastTurn] == nil ? " or --train-only-last-turn" : ""
            return ["use --row-per-turn (each turn a sample of its own)\(last)"]
        }
        let others = traits.subtracting(.thoughts)
        var ways = try variables(traits, mode)
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
    private func variables(_ traits: DataTraits, _ mode: Mode) throws -> [String] {
        guard let renderer = try format.makeJinjaRenderer() else { return [] }
        for name in renderer.thoughtVariables {
            for value in [false, true] {
                guard let other = try? format.with(variable: name, value),
                    let verdict = try? Self.verdict(traits, other)
                else { continue }
                let option = "set --chat-template-kwargs '{\"\(name)\": \(value)}', here and where the model is served"
                if verdict[mode] == nil { return [option] }
                if mode != .row, verdict[.row] == nil { return ["\(option), with --row-per-turn"] }
            }
        }
        return []
    }
}
