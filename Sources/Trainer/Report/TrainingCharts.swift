import Shared

/// The charts of a report: one run by position, several by run.
struct TrainingCharts {
    private let runs: [RunLog]
    private let steps: Axis
    /// The most points of a curve.
    private static let mostPoints = 100

    init(_ runs: [RunLog]) {
        self.runs = runs
        steps = .steps(upTo: Double(runs.map(\.steps).max() ?? 0))
    }

    static func color(ofRun index: Int) -> String { "var(--run\(index % HTMLStyle.runColors))" }

    /// From one end of a ramp to the other.
    private static func color(ofPosition position: Int, of positions: Int) -> String {
        let share = positions > 1 ? Double(position) / Double(positions - 1) : 0
        return "color-mix(in oklch, var(--last-position) \(fixed(100 * share, 0))%, var(--first-position))"
    }

    // MARK: - What was learnt

    var acceptanceLength: String {
        let curves = runs.enumerated().flatMap { index, run -> [LineChart.Curve] in
            let color = Self.color(ofRun: index)
            let prefix = runs.count > 1 ? run.name + ", " : ""
            let simulated = run.series(\.heldOut, "simulated_acceptance_length")
            return [
                .init(prefix + "measured", color: color, .dots, run.series(\.heldOut, "acceptance_length")),
                .init(prefix + "simulated, held out", color: color, .dashed, simulated),
                .init(
                    prefix + "simulated, training", color: "color-mix(in oklch, \(color) 40%, var(--card))", .line,
                    curve(run, \.training, "simulated_acceptance_length")),
            ]
        }
        return card(
            "Acceptance length",
            "Tokens that a verification gives: measured by decoding held-out prompts, and simulated along given texts.",
            LineChart(
                "Acceptance length over steps", x: steps, y: axis(curves), curves, xName: "step", xText: Self.stepText,
                yText: Self.decimalText))
    }

    var loss: String {
        let curves = runs.enumerated().flatMap { index, run -> [LineChart.Curve] in
            let color = Self.color(ofRun: index)
            let prefix = runs.count > 1 ? run.name + ", " : ""
            return [
                .init(prefix + "training", color: color, .line, curve(run, \.training, "losses/0")),
                .init(prefix + "held out", color: color, .dots, run.series(\.heldOut, "losses/0")),
            ]
        }
        return card(
            "Loss of the first position", "Cross-entropy with the target's distribution, in nats a token.",
            LineChart(
                "Loss over steps", x: steps, y: axis(curves), curves, xName: "step", xText: Self.stepText,
                yText: Self.decimalText))
    }

    /// Each list of the metrics over the steps, and where all came to at the end.
    var byPlace: [String] {
        let lists: [(String, String, String)] = [
            ("losses", "Loss by position", "Nats a token, for each position ahead."),
            ("accuracies", "Accuracy by position", "Tokens whose likeliest draft token is the target's."),
            (
                "conditional_accuracies", "Conditional accuracy by position",
                "The same where all positions before were right."
            ),
            ("acceptance_rates", "Acceptance rate by position", "Σ min(p, q): how often a sampled token is kept."),
        ]
        return (runs.count == 1 ? lists.map { overSteps(runs[0], $0, $1, $2) } : [])
            + (runs.count == 1 ? [atTheEnd(runs[0])] : lists.map { atTheEnd(runs, $0, $1, $2) })
    }

    private func overSteps(_ run: RunLog, _ tag: String, _ heading: String, _ note: String) -> String {
        let positions = run.positions(\.training, tag)
        let curves = (0..<positions).flatMap { position -> [LineChart.Curve] in
            let (name, color) = ("\(position + 1)", Self.color(ofPosition: position, of: positions))
            return [
                .init(name, color: color, .line, curve(run, \.training, "\(tag)/\(position)")),
                .init(
                    name + ", held out", color: color, .dashed, run.series(\.heldOut, "\(tag)/\(position)"),
                    isInLegend: false),
            ]
        }
        let isShare = tag != "losses"
        let chart = LineChart(
            heading, x: steps, y: axis(curves, includesZero: isShare), curves, xName: "step", xText: Self.stepText,
            yText: { isShare ? shortPercent($0) : Self.decimalText($0) })
        return card(heading, run.heldOut.isEmpty ? note : "\(note) Held out: dashed.", chart)
    }

    /// One run's positions at its last evaluation.
    private func atTheEnd(_ run: RunLog) -> String {
        let points: KeyPath<RunLog, [RunLog.Point]> = run.heldOut.isEmpty ? \.training : \.heldOut
        let curves = [
            ("accuracy", "accuracies", 0), ("conditional accuracy", "conditional_accuracies", 1),
            ("acceptance rate", "acceptance_rates", 2), ("accepted, measured", "accepted_at", 3),
        ].map { name, tag, color in
            LineChart.Curve(name, color: Self.color(ofRun: color), .dots, positions(run, points, tag))
        }
        return card(
            "By position, at the end",
            run.heldOut.isEmpty ? "The newest steps." : "The last evaluation. Measured: of all verifications.",
            .byPosition("Shares by position", curves, includesZero: true, yText: shortPercent))
    }

    /// Several runs' positions at their last evaluations.
    private func atTheEnd(_ runs: [RunLog], _ tag: String, _ heading: String, _ note: String) -> String {
        let isHeldOut = runs.allSatisfy { !$0.heldOut.isEmpty }
        let curves = runs.enumerated().map { index, run in
            LineChart.Curve(
                run.name, color: Self.color(ofRun: index), .dots,
                positions(run, isHeldOut ? \.heldOut : \.training, tag))
        }
        let isShare = tag != "losses"
        let chart = LineChart.byPosition(heading, curves, includesZero: isShare) {
            isShare ? shortPercent($0) : Self.decimalText($0)
        }
        return card(heading, "\(note) \(isHeldOut ? "At the last evaluation." : "In the newest steps.")", chart)
    }

    private func positions(
        _ run: RunLog, _ points: KeyPath<RunLog, [RunLog.Point]>, _ tag: String
    ) -> [(x: Double, y: Double)] {
        (0..<run.positions(points, tag)).compactMap { position in
            run[keyPath: points].last?.values["\(tag)/\(position)"].map { (Double(position + 1), $0) }
        }
    }

    // MARK: - What it cost

    var learningRate: String {
        card(
            "Learning rate", "As it was at each step.",
            chart("Learning rate over steps", "learning_rate", includesZero: true) { Self.scientific($0) })
    }

    var gradient: String {
        let curves = runCurves("grad_norm")
        return card(
            "Gradient norm", "Before clipping\(clipped); the axis is logarithmic.",
            LineChart(
                "Gradient norm over steps", x: steps, y: .logarithmic(curves.flatMap(\.points).map(\.y)), curves,
                xName: "step", xText: Self.stepText, yText: { Self.significant($0) }))
    }

    private var clipped: String {
        guard runs.count == 1 else { return "" }
        let share = runs[0].total("clipped_steps") / max(1, runs[0].total("steps"))
        return ", which \(fixed(100 * share, 0))% of the steps needed"
    }

    var throughput: String {
        card(
            "Throughput", "Tokens of training a second, over all ranks; evaluations and checkpoints left out.",
            chart("Throughput over steps", "tokens_per_second", includesZero: true) { shortNumber($0) })
    }

    /// Where the time went; nil if no run says so.
    var time: String? {
        let bars = runs.enumerated().compactMap { index, run -> String? in
            let phases = run.phases
            let total = phases.reduce(0) { $0 + $1.seconds }
            guard total > 0 else { return nil }
            let parts = phases.enumerated().map { position, phase in
                let share = fixed(100 * phase.seconds / total, 1) + "%"
                let color = Self.color(ofRun: position)
                return (
                    bar: "<span style=\"width:\(share);--c:\(color)\" data-tip=\"\(htmlEscaped(phase.name)): "
                        + "\(shortTime(phase.seconds)), \(share)\"></span>",
                    key: "<span class=\"line\" style=\"--c:\(color)\">\(htmlEscaped(phase.name)) \(share)</span>"
                )
            }
            let name = runs.count > 1 ? "<p class=\"soft\">\(htmlEscaped(run.name))</p>" : ""
            return """
                \(name)<div class="stack">\(parts.map(\.bar).joined())</div>\
                <div class="keys">\(parts.map(\.key).joined())</div>
                """
        }
        guard !bars.isEmpty else { return nil }
        return HTMLPage.card("Time by phase", "Of all steps, the mean over the ranks.", bars.joined())
    }

    // MARK: - Parts

    private func chart(
        _ name: String, _ tag: String, includesZero: Bool, yText: @escaping (Double) -> String
    ) -> LineChart {
        let curves = runCurves(tag)
        return LineChart(
            name, x: steps, y: axis(curves, includesZero: includesZero), curves, xName: "step", xText: Self.stepText,
            yText: yText)
    }

    private func runCurves(_ tag: String) -> [LineChart.Curve] {
        runs.enumerated().map { index, run in
            LineChart.Curve(run.name, color: Self.color(ofRun: index), .line, curve(run, \.training, tag))
        }
    }

    private func curve(
        _ run: RunLog, _ points: KeyPath<RunLog, [RunLog.Point]>, _ tag: String
    ) -> [(x: Double, y: Double)] {
        thinned(run.series(points, tag), to: Self.mostPoints)
    }

    private func axis(_ curves: [LineChart.Curve], includesZero: Bool = false) -> Axis {
        .linear(curves.flatMap(\.points).map(\.y), includesZero: includesZero)
    }

    private func card(_ heading: String, _ note: String, _ chart: LineChart) -> String {
        HTMLPage.card(heading, note, chart.html)
    }

    private static func stepText(_ step: Double) -> String { grouped(Int(step.rounded())) }

    private static func decimalText(_ value: Double) -> String { fixed(value, 2) }

    /// 5e-5 rather than 0.00005.
    private static func scientific(_ value: Double) -> String {
        value == 0 ? "0" : "\(Float(value))"
    }

    private static func significant(_ value: Double) -> String {
        value >= 100 ? shortNumber(value) : fixed(value, value < 0.095 ? 3 : value < 9.5 ? 2 : 1)
    }
}
