import Jinja
import Shared

/// What holds of a chat format for a model, found out before anything is built by it.
struct TemplateProof {
    enum Verdict: String {
        case holds = "ok"
        /// What the user may want and should know.
        case warning
        /// Data of a kind that don't fit, of which each record is found.
        case unfit = "no"
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
    private let fit: TemplateFit
    private let mode: TemplateFit.Mode

    var failures: [Finding] { findings.filter { $0.verdict == .failure } }

    /// - Parameters:
    ///   - fit: What is known of the format.
    ///   - mode: What of a conversation is to be supervised in one text.
    init(_ format: ChatFormat, _ fit: TemplateFit, _ target: TargetText, _ mode: TemplateFit.Mode) {
        self.format = format
        self.fit = fit
        tokenizer = target.tokenizer
        endTokens = target.endTokens
        self.mode = mode
        do {
            let texts = try render()
            if let text = texts.last { checkHeaders(text) }
            checkTurns(texts)
            if let text = texts.last { checkBeginning(text) }
            checkEnds(texts)
            if case .entry = format.text { return }
            try checkData()
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

    /// A conversation of two answers, with a system message where the template takes one: as one text, or one up to each
    /// answer.
    private mutating func render() throws -> [RenderedText] {
        let renderer = try format.makeRenderer()
        func texts(_ talk: Conversation) throws -> [RenderedText] {
            let answers = talk.messages.indices.filter { talk.messages[$0].role == .assistant }
            return try (mode == .whole ? [talk.messages.count - 1] : answers).map { index in
                var text = RenderedText()
                try renderer.render(talk.prefix(index + 1), into: &text)
                if mode != .whole { text.turns.removeFirst(max(0, text.turns.count - 1)) }
                return text
            }
        }
        let what = "a conversation is rendered"
        var form: [String] = []
        if format.form.contentIsParts { form.append("with content as a list of parts") }
        if format.form.needsTools { form.append("only with tools") }
        do {
            let texts = try texts(TurnProbe.conversation(systemPrompt: TurnProbe.system, form: format.form))
            add(what, format.form.needsTools ? .warning : .holds, form.joined(separator: ", "))
            return texts
        } catch {
            let texts = try texts(TurnProbe.conversation(form: format.form))
            add(what, .warning, (form + ["without a system message only: \(error)"]).joined(separator: ", "))
            return texts
        }
    }

    // MARK: - What is checked

    private mutating func checkTurns(_ texts: [RenderedText]) {
        let spans = texts.flatMap { text in
            text.turns.map { String(decoding: text.bytes[$0.range], as: UTF8.self) }
        }
        let answers = TurnProbe.answers[..<2]
        let missing = answers.indices.filter { index in !spans.contains { $0.contains(answers[index]) } }
        let what = "every answer is supervised"
        if missing.isEmpty {
            add(what, .holds)
        } else {
            // The headers of thinking models' entries occur where thoughts are, which may be the last turn alone.
            let verdict = isStrict || missing.count == answers.count ? Verdict.failure : .warning
            add(
                what, verdict,
                "answer \(missing.map { "\($0 + 1)" }.joined(separator: " and ")) of \(answers.count) is not")
        }
        let questions = spans.contains { $0.contains(TurnProbe.questions[1]) || $0.contains(TurnProbe.system) }
        add("no question is supervised", !questions, else: "the assistant's turns reach into other messages")
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
    private mutating func checkEnds(_ texts: [RenderedText]) {
        let what = "the end of each turn is supervised"
        guard !endTokens.isEmpty else {
            add(what, .warning, "neither the tokenizer nor the model's configuration names a token that ends turns")
            return
        }
        var (open, count) = (0, 0)
        for text in texts {
            guard let encoded = encode(text) else { return }
            let spans = text.supervisedSpans(onlyLastTurn: false)
            count += text.turns.count
            open += text.turns.count { turn in
                !zip(encoded.ids, encoded.starts).contains { id, start in
                    turn.range.contains(start) && endTokens.contains(id) && spans.contains { $0.contains(start) }
                }
            }
        }
        guard open > 0 else { return add(what, .holds) }
        let shown = endTokens.sorted().map { "\($0)" }.joined(separator: ", ")
        // An entry may ignore its end of turn, or mark earlier turns that end in another way, as gpt-oss's do.
        let isChosen = !isStrict && (open < count || !(format.entry?.ignoredTexts.isEmpty ?? true))
        let detail = "\(open) of \(count) turns have none of the end tokens, \(shown)"
        let advice = open < count ? earlier : following
        add(what, isChosen ? .warning : .failure, detail + (advice.map { "; \($0)" } ?? ""))
    }

    /// What to do where only some turns have no end.
    private var earlier: String? {
        mode == .whole
            ? "earlier turns end in another way than the last one: use --row-per-turn (each turn a sample of its own)"
            : nil
    }

    /// Why turns may have no end: their end-of-turn text is no token, or the next role's marker ends them.
    private var following: String? {
        if let end = try? format.endOfTurnText(), !end.isEmpty, tokenizer.id(of: end) == nil {
            return "they end with \(JSONText.quoted(end)), which is no token of this model's tokenizer"
        }
        var text = RenderedText()
        guard (try? format.makeRenderer().render(TurnProbe.conversation(form: format.form), into: &text)) != nil,
            let turn = text.turns.first, let encoded = encode(text),
            let next = encoded.starts.firstIndex(where: { $0 >= turn.range.upperBound }),
            let marker = try? tokenizer.decode([Int(encoded.ids[next])])
        else { return nil }
        let shown = JSONText.quoted(String(decoding: marker, as: UTF8.self))
        return "turns are followed by \(shown), \(encoded.ids[next]): if the model stops there, list "
            + "that as 'eos_token_id' in its generation_config.json, and it is supervised as their end"
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

    /// Which data the template writes as the model does, each kind by conversations of its own.
    private mutating func checkData() throws {
        let kinds: [DataTraits] = [[], .systemMessage, .taggedThoughts, .reasoning, .toolCalls]
        var problems: [(kind: DataTraits, problem: TurnProblem?)] = []
        for kind in kinds {
            problems.append((kind, try fit.verdict(kind)[mode]))
        }
        let fitsAnswers = problems.contains { $0.kind.isSubset(of: .thoughts) && $0.problem == nil }
        for (kind, problem) in problems {
            guard let problem else {
                add(kind.name, .holds)
                continue
            }
            let isRejected = isStrict || [.dropped, .doubled, .refused].contains(problem.kind)
            let fate = isRejected ? "such records are rejected" : "such records are kept, as the entry was chosen"
            let isAsPlain =
                !kind.isEmpty && kind.isDisjoint(with: .thoughts) && problem.kind == problems[0].problem?.kind
            let detail =
                isAsPlain
                ? "as plain answers: \(problem.sentence)"
                : "\(problem.sentence); \(fate); \(fit.advice(kind, mode))"
            add(kind.name, verdict(of: problem, kind, fitsAnswers: fitsAnswers), detail)
        }
    }

    /// A template fails that fits no answers, and one that needs a row for each turn, as long as that isn't asked for.
    private func verdict(of problem: TurnProblem, _ kind: DataTraits, fitsAnswers: Bool) -> Verdict {
        guard kind.isEmpty else { return .unfit }
        guard isStrict else { return .warning }
        return !fitsAnswers || problem.kind == .rewritten ? .failure : .warning
    }

    /// Whether a template that rewrites is refused; one who names an entry has chosen its text.
    private var isStrict: Bool { format.entry == nil }
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
