import Shared

/// What `Trainer evaluate` measured.
struct EvaluationReport {
    let heldOut: TrainingStatistics
    let decoding: DecodingResult
    /// The trees that were drafted too.
    let tree: DraftTree.Shape?
    /// How tokens were drawn.
    let sampling: Sampling
    /// Nil if no sample has a prompt.
    let costs: DraftingCosts?
    /// What later measurements may be compared with; nil if no sample has a prompt.
    let reference: AcceptanceReference?

    var statistics: SpeculativeDecoding.Statistics { decoding.statistics }

    var plainTokensPerSecond: Double { decoding.plainTokensPerSecond ?? 0 }

    var speedup: Double {
        plainTokensPerSecond > 0 ? decoding.tokensPerSecond / plainTokensPerSecond : 0
    }

    var estimates: [DraftingCosts.Estimate] {
        costs?.estimates(acceptedAt: statistics.acceptedAtShares) ?? []
    }

    /// The draft length that is fastest by its costs here.
    var best: DraftingCosts.Estimate? { estimates.max { $0.speedup < $1.speedup } }

    var lengths: [(name: String, bucket: SpeculativeDecoding.Statistics.Bucket)] {
        statistics.byLength.enumerated().filter { $1.verifications > 0 }.map {
            (SpeculativeDecoding.Statistics.Bucket.name($0), $1)
        }
    }

    var json: JSONText {
        .object([
            ("prompts", .int(decoding.decoded.count)), ("verifications", .int(statistics.verifications)),
            ("accepted_per_verification", .number(statistics.acceptedPerVerification)),
            ("acceptance_length", .number(decoding.acceptanceLength)),
            ("accepted_at", .numbers(statistics.acceptedAtShares)),
            ("conditionally_accepted_at", .numbers(statistics.conditionalShares)),
            (
                "by_length",
                .array(
                    lengths.map { name, bucket in
                        .object([
                            ("tokens", .string(name)), ("verifications", .int(bucket.verifications)),
                            ("acceptance_length", .number(bucket.acceptanceLength)),
                        ])
                    })
            ),
            ("tokens_per_second", .number(decoding.tokensPerSecond)),
            ("plain_tokens_per_second", .number(plainTokensPerSecond)), ("speedup", .number(speedup)),
            ("drafting_share", .number(statistics.draftSeconds / max(statistics.seconds, 1e-9))),
            ("plain_step_seconds", costs.map { .number($0.plain) } ?? .null),
            (
                "draft_lengths",
                .array(
                    estimates.map {
                        .object([
                            ("draft_length", .int($0.draftLength)),
                            ("verification_seconds", .number($0.breakEven * (costs?.plain ?? 0))),
                            ("break_even_acceptance_length", .number($0.breakEven)),
                            ("acceptance_length", .number($0.acceptanceLength)), ("speedup", .number($0.speedup)),
                        ])
                    })
            ),
            ("best_draft_length", best.map { .int($0.draftLength) } ?? .null),
            (
                "tree",
                measuredTree.map { shape, statistics in
                    .object([
                        ("shape", .string(shape.shown)), ("verifications", .int(statistics.verifications)),
                        ("accepted_per_verification", .number(statistics.acceptedPerVerification)),
                        ("acceptance_length", .number(1 + statistics.acceptedPerVerification)),
                        ("accepted_at", .numbers(statistics.acceptedAtShares)),
                    ])
                } ?? .null
            ), ("temperature", .number(Double(sampling.temperature))),
            ("identical_output", .bool(decoding.differing.isEmpty)),
            ("differing_samples", .array(decoding.differing.map(JSONText.int))), ("held_out", .object(heldOut.values)),
        ])
    }

    var text: String {
        let list = { (values: [Double]) in values.map { fixed($0, 3) }.joined(separator: " ") }
        return """
            prompts                     \(decoding.decoded.count)
            acceptance length           \(fixed(decoding.acceptanceLength, 3)) tokens a verification
            accepted a verification     \(fixed(statistics.acceptedPerVerification, 3)) of the drafted tokens
              by position               \(list(statistics.acceptedAtShares))
              given those before        \(list(statistics.conditionalShares))
            \(lengthLines)\(treeLines)
            decoding                    \(fixed(decoding.tokensPerSecond, 1)) tokens/s with the draft, \
            \(fixed(plainTokensPerSecond, 1)) without: \(fixed(speedup, 2)) times
            \(costLines)
            \(sampling.isGreedy ? "same greedy output " : "same sampled output")         \(sameness)
            held-out loss               \(list(heldOut.losses))
            held-out accuracy           \(list(heldOut.accuracies))
              given those before right  \(list(heldOut.conditionalAccuracies))
            simulated acceptance length \(fixed(heldOut.simulatedAcceptanceLength, 3))
            """
    }

    var measuredTree: (shape: DraftTree.Shape, statistics: SpeculativeDecoding.Statistics)? {
        guard let tree, let statistics = decoding.tree else { return nil }
        return (tree, statistics)
    }

    private var treeLines: String {
        guard let (shape, statistics) = measuredTree else { return "" }
        let label = "as trees of \(shape.shown)"
        let positions = statistics.acceptedAtShares.map { fixed($0, 3) }.joined(separator: " ")
        return """

            \(label)\(String(repeating: " ", count: max(1, 28 - label.count)))\(fixed(1 + statistics.acceptedPerVerification, 3)) tokens a verification
              by depth                  \(positions)
            """
    }

    private var sameness: String {
        decoding.differing.isEmpty ? "yes, on every prompt" : "NO, on \(decoding.differing.count)"
    }

    private var lengthLines: String {
        let parts = lengths.map { "\($0.name): \(fixed($0.bucket.acceptanceLength, 3))" }
        return "  by tokens before it       \(parts.joined(separator: ", "))"
    }

    /// A line for each draft length, and which is best.
    private var costLines: String {
        guard let costs, let best else { return "  costs                     not measured: no sample has a prompt" }
        let rows = estimates.map {
            "  drafting \($0.draftLength)                pays above \(fixed($0.breakEven, 2)), reaches "
                + "\(fixed($0.acceptanceLength, 2)): \(fixed($0.speedup, 2)) times"
        }
        let advice =
            best.speedup > 1
            ? "--draft-length \(best.draftLength) is fastest here"
            : "drafting doesn't pay here with this draft: at best \(fixed(best.speedup, 2)) times"
        return
            (["a plain step                \(fixed(1000 * costs.plain, 2)) ms; by the costs measured apart"] + rows
            + ["  so                        \(advice)"]).joined(separator: "\n")
    }

    /// A line of JSON for each decoded prompt.
    ///
    /// - Parameter promptIDs: The tokens of a sample's prompt.
    func samples(promptIDs: (Int) throws -> [Int32]) rethrows -> String {
        try decoding.decoded.map { prompt in
            JSONText.object([
                ("sample", .int(prompt.sample)),
                ("prompt_ids", .array(try promptIDs(prompt.sample).map { .int(Int($0)) })),
                ("prompt_tokens", .int(prompt.promptTokens)),
                ("tokens", .int(prompt.tokens)), ("verifications", .int(prompt.verifications)),
                ("acceptance_length", .number(prompt.acceptanceLength)), ("seconds", .number(prompt.seconds)),
                ("plain_seconds", .number(prompt.plainSeconds)), ("identical_output", .bool(!prompt.differs)),
                ("output_ids", .array(prompt.output.prefix(prompt.tokens).map(JSONText.int))),
                ("accepted", .array(prompt.acceptedEach.prefix(prompt.verifications).map(JSONText.int))),
            ]).compact + "\n"
        }.joined()
    }
}
