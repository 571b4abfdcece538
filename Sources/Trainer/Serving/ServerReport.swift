import Shared

/// What `Trainer evaluate --server` measured.
struct ServerReport {
    let server: String
    let engine: String
    let prompts: Int
    let turns: [ServerEvaluation.Turn]
    /// What `Trainer evaluate --json` printed of the same prompts.
    let own: OwnReport?

    /// The part of such a report, or of a draft's `acceptance.json`, that a server's results are compared with.
    struct OwnReport {
        let path: String
        let acceptedPerVerification: Double
        let acceptedAt: [Double]
        /// What `acceptance.json` was measured with; nil of a report.
        let promptsDigest: String?
        let newTokens: Int?

        init(_ path: String) throws {
            let root = try JSONFile(path).root
            self.path = path
            promptsDigest = try root["prompts_digest"]?.asString()
            newTokens = try root["max_new_tokens"]?.asInt()
            acceptedPerVerification = try root.double("accepted_per_verification")
            acceptedAt = try root.required("accepted_at").asArray().map { element throws(JSONError) in
                try element.asDouble()
            }
        }

        /// Refuses other prompts, or another length of answers, than it was measured with, where it says that.
        ///
        /// - Throws: `OptionsError`.
        func expect(_ prompts: [ServerPrompt], newTokens: Int) throws(OptionsError) {
            if let own = self.newTokens, own != newTokens {
                throw .rule("--max-new-tokens is \(newTokens), should be \(own), with which \(path) was measured")
            }
            let tokens = prompts.compactMap { prompt in
                if case .tokens(let ids) = prompt.content { ids.map(Int32.init(truncatingIfNeeded:)) } else { nil }
            }
            guard let promptsDigest else { return }
            guard tokens.count == prompts.count, AcceptanceReference.digest(ofPrompts: tokens) == promptsDigest else {
                throw .rule(
                    "--prompts aren't those of \(path): give the lines that Trainer evaluate --samples-output writes of them"
                )
            }
        }
    }

    /// Turns of one kind, added up.
    struct Sum {
        var name: String
        var turns = 0
        var tokens = 0
        var seconds = 0.0
        var plainTokens = 0
        var plainSeconds = 0.0
        var drafting: ServedDrafting?

        init(_ name: String, _ turns: [ServerEvaluation.Turn]) {
            self.name = name
            self.turns = turns.count
            for turn in turns {
                tokens += turn.answer.tokens
                seconds += turn.answer.seconds
                plainTokens += turn.plain?.tokens ?? 0
                plainSeconds += turn.plain?.seconds ?? 0
                if let own = turn.answer.drafting { drafting = (drafting ?? ServedDrafting()) + own }
            }
        }

        var tokensPerSecond: Double { Double(tokens) / max(seconds, 1e-9) }
        var plainTokensPerSecond: Double? { plainTokens > 0 ? Double(plainTokens) / max(plainSeconds, 1e-9) : nil }
        var acceptanceLength: Double? { drafting.map { 1 + $0.acceptedPerVerification } }

        var members: [(String, JSONText)] {
            [
                ("turns", .int(turns)), ("tokens", .int(tokens)),
                ("verifications", drafting.map { .int($0.verifications) } ?? .null),
                ("accepted_per_verification", drafting.map { .number($0.acceptedPerVerification) } ?? .null),
                ("acceptance_length", acceptanceLength.map(JSONText.number) ?? .null),
                ("accepted_at", drafting.map { .numbers($0.acceptedAtShares) } ?? .null),
                ("tokens_per_second", .number(tokensPerSecond)),
                ("plain_tokens_per_second", plainTokensPerSecond.map(JSONText.number) ?? .null),
            ]
        }

        var line: String {
            let length = acceptanceLength.map { "acceptance length \(fixed($0, 3)), " } ?? ""
            return "  \(name): \(length)\(fixed(tokensPerSecond, 1)) tokens/s, \(turns) turns"
        }
    }

    var total: Sum { Sum("all", turns) }

    var byCategory: [Sum] {
        Dictionary(grouping: turns.filter { $0.category != nil }) { $0.category ?? "" }
            .map { Sum($0.key, $0.value) }.sorted { $0.name < $1.name }
    }

    var byPromptLength: [Sum] {
        typealias Bucket = SpeculativeDecoding.Statistics.Bucket
        return Dictionary(grouping: turns) { Bucket.index($0.answer.promptTokens) }
            .sorted { $0.key < $1.key }.map { Sum(Bucket.name($0.key), $0.value) }
    }

    /// Turns whose text is another one with the draft, by line, and how many characters are the same.
    var differing: [(line: Int, same: Int)] {
        turns.compactMap { turn in
            guard let plain = turn.plain, plain.text != turn.answer.text else { return nil }
            return (turn.line, zip(plain.text, turn.answer.text).prefix { $0 == $1 }.count)
        }
    }

    /// How far accepted tokens a verification are from the own ones, relatively.
    var difference: Double? {
        guard let own, let drafting = total.drafting, own.acceptedPerVerification > 0 else { return nil }
        return drafting.acceptedPerVerification / own.acceptedPerVerification - 1
    }

    var json: JSONText {
        let groups = { (name: String, sums: [Sum]) in
            JSONText.array(sums.map { .object([(name, .string($0.name))] + $0.members) })
        }
        return .object(
            [("server", .string(server)), ("engine", .string(engine)), ("prompts", .int(prompts))] + total.members + [
                (
                    "own",
                    own.map {
                        .object([
                            ("accepted_per_verification", .number($0.acceptedPerVerification)),
                            ("accepted_at", .numbers($0.acceptedAt)),
                            ("difference", difference.map(JSONText.number) ?? .null),
                        ])
                    } ?? .null
                ),
                ("by_category", groups("category", byCategory)),
                ("by_prompt_length", groups("prompt_tokens", byPromptLength)),
                ("differing_lines", .array(differing.map { .int($0.line) })),
            ])
    }

    var text: String {
        let list = { (values: [Double]) in values.map { fixed($0, 3) }.joined(separator: " ") }
        let total = total
        var lines = ["server                      \(server) (\(engine))", "prompts                     \(prompts)"]
        if let drafting = total.drafting {
            lines.append(
                "acceptance length           \(fixed(1 + drafting.acceptedPerVerification, 3)) tokens a verification")
            let positions = drafting.acceptedAt.isEmpty ? "the server doesn't say" : list(drafting.acceptedAtShares)
            lines.append("  by position             \(positions)")
        } else {
            lines.append("acceptance length           not known: the server drafts nothing, or doesn't say")
        }
        if let own {
            lines.append(
                "  Trainer evaluate        \(fixed(1 + own.acceptedPerVerification, 3)): \(list(own.acceptedAt))")
            if let difference { lines.append("  accepted tokens differ by \(fixed(100 * difference, 1))%") }
        }
        var speed = "decoding                    \(fixed(total.tokensPerSecond, 1)) tokens/s"
        if let plain = total.plainTokensPerSecond {
            speed += " with the draft, \(fixed(plain, 1)) without: \(fixed(total.tokensPerSecond / plain, 2)) times"
        }
        lines.append(speed)
        if turns.contains(where: { $0.plain != nil }) {
            let parts = differing.map { "line \($0.line) after \($0.same) characters" }.joined(separator: ", ")
            lines.append("same text without the draft \(parts.isEmpty ? "yes, for every prompt" : "no: \(parts)")")
        }
        if !byCategory.isEmpty { lines += ["by category"] + byCategory.map(\.line) }
        lines += ["by tokens of the prompt"] + byPromptLength.map(\.line)
        return lines.joined(separator: "\n")
    }
}
