import Jinja
import Shared

/// What holds of a chat format for a model, found out before anything is built by it.
struct TemplateProof {
    enum Verdict: String {
        case holds = "ok"
        /// What the user may want and should know.
        case warning
        case failure = "FAILED"
    }

    struct Finding {
        var what: String
        var verdict: Verdict
        var detail = ""
    }

    private(set) var findings: [Finding] = []
    private let format: ChatFormat
    private let tokenizer: Tokenizer
    /// Tokens that end turns.
    private let endTokens: Set<Int32>
    private let isRowPerTurn: Bool

    var failures: [Finding] { findings.filter { $0.verdict == .failure } }

    /// - Parameter isRowPerTurn: Whether each turn is to be a row of its own, so that no later one can rewrite it.
    init(_ format: ChatFormat, _ target: TargetText, isRowPerTurn: Bool) {
        self.format = format
        tokenizer = target.tokenizer
        endTokens = Set(target.specialTokens.filter { $0.name.hasPrefix("e") }.map(\.id))
        self.isRowPerTurn = isRowPerTurn
        do {
            let (talk, text) = try render()
            checkHeaders(text)
            checkTurns(text)
            checkBeginning(text)
            checkEnds(text)
            if let renderer = try format.makeJinjaRenderer() { checkHistory(talk, renderer) }
        } catch {
            add("a conversation is rendered", .failure, "\(error)")
        }
    }

    private mutating func add(_ what: String, _ verdict: Verdict, _ detail: String = "") {
        findings.append(Finding(what: what, verdict: verdict, detail: detail))
    }

    private mutating func add(_ what: String, _ holds: Bool, else detail: @autoclosure () -> String) {
        add(what, holds ? .holds : .failure, holds ? "" : detail())
    }

    /// A conversation of two answers, with a system message where the template takes one.
    private mutating func render() throws -> (Conversation, RenderedText) {
        let renderer = try format.makeRenderer()
        var text = RenderedText()
        do {
            let talk = TurnProbe.conversation(systemPrompt: "Be kind.")
            try renderer.render(talk, into: &text)
            add("a conversation is rendered", .holds)
            return (talk, text)
        } catch {
            let talk = TurnProbe.conversation()
            try renderer.render(talk, into: &text)
            add("a conversation is rendered", .warning, "without a system message only: \(error)")
            return (talk, text)
        }
    }

    // MARK: - What is checked

    private mutating func checkTurns(_ text: RenderedText) {
        let spans = text.assistantSpans.map { String(decoding: text.bytes[$0], as: UTF8.self) }
        let missing = TurnProbe.answers.indices.filter { index in
            !spans.contains { $0.contains(TurnProbe.answers[index]) }
        }
        let what = "every answer is supervised"
        if missing.isEmpty || (isRowPerTurn && missing.last != TurnProbe.answers.indices.last) {
            add(what, .holds)
        } else {
            // The headers of thinking models' entries occur where thoughts are, which may be the last turn alone.
            let verdict = isStrict || missing.count == TurnProbe.answers.count ? Verdict.failure : .warning
            let shown = missing.map { "\($0 + 1)" }.joined(separator: " and ")
            add(what, verdict, "answer \(shown) of \(TurnProbe.answers.count) is not")
        }
        let questions = spans.contains { $0.contains("Really?") || $0.contains("Be kind.") }
        add("no question is supervised", !questions, else: "the assistant's spans reach into other messages")
    }

    /// A registry entry's headers must occur in what the model's own template writes.
    private mutating func checkHeaders(_ text: RenderedText) {
        guard case .marked(let template, let entry) = format.text else { return }
        let whole = String(decoding: text.bytes, as: UTF8.self)
        let fields = [
            ("assistant_header", entry.assistantHeader), ("user_header", entry.userHeader),
            ("end_of_turn_token", entry.endOfTurnToken),
        ]
        let strange = fields.filter { !$0.1.isEmpty && !whole.contains($0.1) }
        add(
            "the headers of '\(entry.name)' are the template's", strange.isEmpty,
            else: strange.map { "\($0.0) \(JSONText.quoted($0.1)) doesn't occur" }.joined(separator: "; ")
                + " in what \(template.name) writes")
    }

    private mutating func checkBeginning(_ text: RenderedText) {
        guard let bos = tokenizer.bosID, let ids = encode(text)?.ids else { return }
        let count = ids.prefix { $0 == bos }.count
        add("the text doesn't begin with bos twice", count < 2, else: "it begins with \(count) of them")
    }

    /// Each turn ends with a token that ends turns, and it is supervised.
    private mutating func checkEnds(_ text: RenderedText) {
        guard let encoded = encode(text) else { return }
        let what = "the end of each turn is supervised"
        guard !endTokens.isEmpty else {
            add(what, .warning, "neither the tokenizer nor the model's configuration names a token that ends turns")
            return
        }
        let spans = text.supervisedSpans(onlyLastTurn: false)
        let open = text.assistantSpans.filter { turn in
            !zip(encoded.ids, encoded.starts).contains { id, start in
                turn.contains(start) && endTokens.contains(id) && spans.contains { $0.contains(start) }
            }
        }
        guard !open.isEmpty else { return add(what, .holds) }
        let shown = endTokens.sorted().map { "\($0)" }.joined(separator: ", ")
        // An entry that ignores its end of turn says so.
        let verdict = format.entry?.ignoredTexts.isEmpty ?? true ? Verdict.failure : .warning
        add(what, verdict, "\(open.count) of \(text.assistantSpans.count) turns have none of the end tokens, \(shown)")
    }

    private func encode(_ text: RenderedText) -> (ids: [Int32], starts: [Int])? {
        let encoded = EncodedText()
        do {
            try text.bytes.withUnsafeBufferPointer { bytes throws(PatternError) in
                try tokenizer.makeEncoder().encode(bytes, into: encoded)
            }
        } catch {
            return nil
        }
        return (Array(encoded.ids[..<encoded.count]), encoded.starts[..<encoded.count].map { Int($0) })
    }

    /// The text up to a turn begins the text of the whole: no later message rewrites what the model has read and written.
    private mutating func checkHistory(_ talk: Conversation, _ renderer: JinjaRenderer) {
        let what = "no later message rewrites an earlier one"
        do {
            let whole = try renderer.rendered(talk, addGenerationPrompt: false)
            for (turn, index) in talk.messages.indices.filter({ talk.messages[$0].role == .assistant }).enumerated() {
                let before = Conversation(messages: Array(talk.messages[..<index]))
                let prompt = try renderer.rendered(before, addGenerationPrompt: true).bytes
                let upTo = Conversation(messages: Array(talk.messages[...index]))
                let answered = try renderer.rendered(upTo, addGenerationPrompt: false)
                let end = answered.marks.elements.map(\.range.upperBound).max() ?? answered.bytes.count
                if !answered.bytes.starts(with: prompt) {
                    return add(
                        "an answer goes on where the prompt stops", isStrict ? .failure : .warning,
                        "turn \(turn + 1) doesn't begin with what the template asks for it with ("
                            + Self.difference(prompt, answered.bytes)
                            + "); data with thoughts fit, or --chat-template-kwargs may say that there are none")
                }
                if !whole.bytes.starts(with: answered.bytes[..<end]) {
                    let verdict = isRowPerTurn ? Verdict.holds : isStrict ? .failure : .warning
                    return add(
                        what, verdict,
                        isRowPerTurn
                            ? "it does, and each turn is a row of its own"
                            : "turn \(turn + 1) is written anew when others follow ("
                                + Self.difference(Array(answered.bytes[..<end]), whole.bytes)
                                + "); --row-per-turn makes each turn a row of its own")
                }
            }
            add(what, .holds)
        } catch {
            add(what, .failure, "\(error)")
        }
    }

    /// Whether a template that rewrites is refused; one who names an entry has chosen its text.
    private var isStrict: Bool { format.entry == nil }

    /// Where two texts part.
    private static func difference(_ a: [UInt8], _ b: [UInt8]) -> String {
        let same = zip(a, b).prefix { $0 == $1 }.count
        func shown(_ bytes: [UInt8]) -> String {
            let part = bytes[max(0, same - 12)..<min(bytes.count, same + 12)]
            return JSONText.quoted(String(decoding: part, as: UTF8.self))
        }
        return "\(shown(a)) and \(shown(b))"
    }
}

extension TemplateProof {
    var text: String {
        (["\(format.description)"]
            + findings.map { finding in
                let detail = finding.detail.isEmpty ? "" : ": \(finding.detail)"
                return "  \(finding.verdict.rawValue)".padded(to: 10) + finding.what + detail
            }).joined(separator: "\n")
    }

    var json: JSONText {
        .object([
            ("template", .string(format.description)), ("holds", .bool(failures.isEmpty)),
            (
                "findings",
                .array(
                    findings.map {
                        .object([
                            ("check", .string($0.what)), ("verdict", .string($0.verdict.rawValue.lowercased())),
                            ("detail", .string($0.detail)),
                        ])
                    })
            ),
        ])
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(1, width - count))
    }
}
