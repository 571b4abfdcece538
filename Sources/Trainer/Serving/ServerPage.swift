import Shared

/// What `Trainer evaluate --server` measured, on one page that needs nothing else.
struct ServerPage {
    let report: ServerReport

    var html: String {
        HTMLPage(
            "\(report.engine) with its draft", subtitle: "<code>\(htmlEscaped(report.server))</code>",
            [tiles, HTMLPage.grid([positions, lengths] + categories), differing].joined(separator: "\n")
        ).html
    }

    private var tiles: String {
        let total = report.total
        let plain = total.plainTokensPerSecond
        let candidates: [(String?, String)] = [
            (total.acceptanceLength.map { fixed($0, 3) }, "tokens a verification"),
            (report.own.map { fixed(1 + $0.acceptedPerVerification, 3) }, "by Trainer evaluate"),
            (fixed(total.tokensPerSecond, 1), "tokens a second with the draft"),
            (plain.map { fixed($0, 1) }, "without"),
            (plain.map { fixed(total.tokensPerSecond / $0, 2) + "×" }, "as fast with the draft"),
            ("\(report.prompts)", "prompts"),
        ]
        return HTMLPage.tiles(candidates.compactMap { number, name in number.map { ($0, name) } })
    }

    private var positions: String {
        let shares = report.total.drafting?.acceptedAtShares ?? []
        let note = "Of all verifications, accepted with all before it."
        guard !shares.isEmpty else {
            return HTMLPage.card("Accepted by position", "The server doesn't tell positions apart.", "")
        }
        let own = report.own.map { [(name: "Trainer evaluate", shares: $0.acceptedAt)] } ?? []
        return HTMLPage.card(
            "Accepted by position", note,
            LineChart.shares("Accepted by position", [(report.engine, shares)] + own).html)
    }

    private var lengths: String {
        HTMLPage.card("By tokens of the prompt", "", table("tokens of the prompt", report.byPromptLength))
    }

    private var categories: [String] {
        let sums = report.byCategory
        return sums.isEmpty ? [] : [HTMLPage.card("By category", "As the prompts name them.", table("category", sums))]
    }

    private func table(_ first: String, _ sums: [ServerReport.Sum]) -> String {
        HTMLPage.table(
            [first, "turns", "acceptance length", "tokens a second", "without the draft"],
            sums.map { sum in
                [
                    sum.name, grouped(sum.turns), sum.acceptanceLength.map { fixed($0, 3) } ?? "not known",
                    fixed(sum.tokensPerSecond, 1), sum.plainTokensPerSecond.map { fixed($0, 1) } ?? "not measured",
                ]
            })
    }

    private var differing: String {
        guard report.turns.contains(where: { $0.plain != nil }) else { return "" }
        let parts = report.differing
        guard !parts.isEmpty else { return HTMLPage.card("Texts", "The same with and without the draft.", "") }
        return HTMLPage.card(
            "Texts that differ with the draft", "Near ties that rounding decides, or an engine's mistake.",
            HTMLPage.table(["line", "characters that are the same"], parts.map { ["\($0.line)", grouped($0.same)] }))
    }
}
