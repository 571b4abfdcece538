import Shared

/// What `Trainer evaluate` measured, on one page that needs nothing else.
struct EvaluationPage {
    let report: EvaluationReport
    /// What the page is of: a draft's directory.
    let draft: String
    let target: String

    var html: String {
        HTMLPage(
            "Evaluation of \(draft)", subtitle: "Beside <code>\(htmlEscaped(target))</code>, tokens \(drawn).",
            [tiles, HTMLPage.grid([positions, heldOut, lengths, prompts]), costs].joined(separator: "\n")
        ).html
    }

    private var drawn: String {
        report.sampling.isGreedy ? "the most probable ones" : "drawn at temperature \(report.sampling.temperature)"
    }

    private var tiles: String {
        let decoding = report.decoding
        let best = report.best.map { [(fixed($0.speedup, 2) + "×", "as fast at best, by \($0.draftLength) drafted")] }
        return HTMLPage.tiles(
            [
                (fixed(decoding.acceptanceLength, 3), "tokens a verification"),
                (fixed(report.statistics.acceptedPerVerification, 3), "of them drafted and accepted"),
            ] + (best ?? []) + [
                (fixed(decoding.tokensPerSecond, 1), "tokens a second with the draft"),
                (fixed(report.plainTokensPerSecond, 1), "without"),
                (
                    decoding.differing.isEmpty ? "\(decoding.decoded.count)" : "NOT \(decoding.differing.count)",
                    "prompts decoded to the same tokens with and without"
                ),
            ])
    }

    private var positions: String {
        let statistics = report.statistics
        return HTMLPage.card(
            "Accepted by position", "Of \(grouped(statistics.verifications)) verifications.",
            LineChart.shares(
                "Accepted by position",
                [
                    ("accepted with all before it", statistics.acceptedAtShares),
                    ("of those whose tokens before it were", statistics.conditionalShares),
                ]
            ).html)
    }

    private var heldOut: String {
        HTMLPage.card(
            "Right along the given texts", "The draft's likeliest token beside the target's, by position.",
            LineChart.shares(
                "Held-out accuracy by position",
                [
                    ("right", report.heldOut.accuracies),
                    ("of those whose tokens before were", report.heldOut.conditionalAccuracies),
                ]
            ).html)
    }

    private var lengths: String {
        HTMLPage.card(
            "By tokens before it", "Long texts may be harder or easier to draft.",
            HTMLPage.table(
                ["tokens before", "verifications", "acceptance length"],
                report.lengths.map {
                    [$0.name, grouped($0.bucket.verifications), fixed($0.bucket.acceptanceLength, 3)]
                }))
    }

    private var prompts: String {
        let values = report.decoding.decoded.map(\.acceptanceLength)
        let (low, high) = (values.min() ?? 1, values.max() ?? 1)
        let (bins, width) = (12, max(1e-6, high - low) / 12)
        var counts = [Int](repeating: 0, count: bins)
        for value in values { counts[min(bins - 1, Int((value - low) / width))] += 1 }
        return HTMLPage.card(
            "Prompts by acceptance length", "How far prompts differ: so much is chance in a few of them.",
            BarChart(
                "Prompts by acceptance length", bounds: (0...bins).map { low + Double($0) * width }, counts: counts,
                label: { fixed($0, 2) }
            ).html)
    }

    private var costs: String {
        guard let costs = report.costs, !report.estimates.isEmpty else { return "" }
        return HTMLPage.card(
            "What drafting costs here, and what it brings",
            "A plain step takes \(fixed(1000 * costs.plain, 2)) ms on this machine; each cost measured apart.",
            HTMLPage.table(
                ["drafted", "pays above, tokens a verification", "reaches", "times as fast"],
                report.estimates.map {
                    ["\($0.draftLength)", fixed($0.breakEven, 2), fixed($0.acceptanceLength, 2), fixed($0.speedup, 2)]
                }))
    }
}
