import Shared

/// Runs on one page that needs nothing else: what was learnt, what it cost, and what was asked for.
struct TrainingReport {
    private let runs: [RunLog]
    private let charts: TrainingCharts

    init(_ runs: [RunLog]) {
        self.runs = runs
        charts = TrainingCharts(runs)
    }

    var page: String {
        let title = runs.map(\.name).joined(separator: ", ")
        let paths = runs.map { "<code>\(htmlEscaped($0.directory))</code>" }.joined(separator: " ")
        let head = runs.count == 1 ? tiles(runs[0]) : ""
        let cards = HTMLPage.grid(
            [charts.acceptanceLength, charts.loss] + charts.byPlace
                + [charts.learningRate, charts.gradient, charts.throughput, charts.time].compactMap { $0 })
        return HTMLPage(
            title, subtitle: paths, [head, comparison, cards, RunSettings(runs).html].joined(separator: "\n")
        ).html
    }

    private func tiles(_ run: RunLog) -> String {
        let (training, heldOut) = (run.training.last?.values ?? [:], run.heldOut.last?.values ?? [:])
        let best = { (tag: String) in run.series(\.heldOut, tag).map(\.y).max() }
        let candidates: [(String?, String)] = [
            (best("acceptance_length").map { fixed($0, 2) }, "tokens a verification, measured, at best"),
            (
                (best("simulated_acceptance_length") ?? training["simulated_acceptance_length"]).map { fixed($0, 2) },
                run.heldOut.isEmpty ? "tokens a verification, simulated" : "tokens a verification, simulated, at best"
            ),
            (
                (heldOut["accuracies/0"] ?? training["accuracies/0"]).map { fixed(100 * $0, 1) + "%" },
                run.heldOut.isEmpty ? "of training's next tokens right" : "of held-out next tokens right"
            ),
            (grouped(run.steps), "steps, \(training["epoch"].map { fixed($0, 2) } ?? "0") epochs"),
            (shortNumber(run.total("tokens") / max(run.total("seconds"), 1e-9)), "tokens a second"),
            (shortTime(run.total("seconds")), "of training"),
        ]
        return HTMLPage.tiles(candidates.compactMap { number, name in number.map { ($0, name) } })
    }

    /// What all runs came to, the best of each line marked.
    private var comparison: String {
        let summaries = runs.map(RunSummary.init)
        let rows = RunSummary.names(summaries).map { name in
            let lines = summaries.map { summary in summary.lines.first { $0.name == name } }
            let best = runs.count > 1 ? lines.compactMap { $0?.merit }.max() : nil
            let cells = lines.map { line in
                let isBest = best != nil && line?.merit == best
                return "<td\(isBest ? " class=\"best\"" : "")>\(htmlEscaped(line?.text ?? ""))</td>"
            }
            return "<tr><th>\(htmlEscaped(name))</th>\(cells.joined())</tr>"
        }
        let names = runs.indices.map { index in
            "<th><span class=\"run\" style=\"--c:\(TrainingCharts.color(ofRun: index))\">"
                + "\(htmlEscaped(runs[index].name))</span></th>"
        }
        let header = runs.count > 1 ? "<tr><th></th>\(names.joined())</tr>" : ""
        return HTMLPage.card(
            runs.count > 1 ? "The runs" : "The run", runs.count > 1 ? "What is best of each is marked." : "",
            "<div class=\"wide\"><table>\(header)\(rows.joined())</table></div>")
    }
}
