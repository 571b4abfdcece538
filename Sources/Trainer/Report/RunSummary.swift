import Shared

/// What a run came to, in a few lines: the terminal's report, and the table that compares runs.
struct RunSummary {
    struct Line {
        let name: String
        /// Nil if the run doesn't say.
        let text: String?
        /// What tells which run is best; nil where none is.
        var merit: Double?
    }

    let lines: [Line]

    init(_ run: RunLog) {
        let (training, heldOut) = (run.training.last?.values ?? [:], run.heldOut.last?.values ?? [:])
        var lines: [Line] = []
        func add(_ name: String, _ text: String?, merit: Double? = nil) {
            lines.append(Line(name: name, text: text, merit: merit))
        }
        let total = run.setting("total steps").map { " of \(grouped(Int($0) ?? 0))" } ?? ""
        add("steps", grouped(run.steps) + total)
        add("epochs", training["epoch"].map { fixed($0, 2) })
        for (name, tag) in [
            ("acceptance length, measured", "acceptance_length"),
            ("acceptance length, simulated", "simulated_acceptance_length"),
        ] {
            let series = run.series(\.heldOut, tag)
            let best = series.max { $0.y < $1.y }
            let end = series.last.map { $0.x == best?.x ? "" : ", \(fixed($0.y, 3)) at the end" } ?? ""
            add(name, best.map { "\(fixed($0.y, 3)) at step \(grouped(Int($0.x)))\(end)" }, merit: best?.y)
        }
        add("held-out loss", heldOut["losses/0"].map { fixed($0, 3) }, merit: heldOut["losses/0"].map { -$0 })
        for (name, tag) in [
            ("held-out accuracy", "accuracies"), ("  given those before right", "conditional_accuracies"),
            ("accepted by position, measured", "accepted_at"),
        ] {
            let positions = (0..<run.positions(\.heldOut, tag)).compactMap { heldOut["\(tag)/\($0)"] }
            add(name, positions.isEmpty ? nil : positions.map { fixed($0, 2) }.joined(separator: " "))
        }
        add("training loss", training["losses/0"].map { fixed($0, 3) })
        add("tokens", shortNumber(run.total("tokens")))
        let (seconds, rate) = (run.total("seconds"), run.total("tokens") / max(run.total("seconds"), 1e-9))
        add("tokens/s", shortNumber(rate), merit: rate)
        add("time of steps", shortTime(seconds))
        let apart = [
            ("evaluations", run.total("evaluation_seconds", \.heldOut)), ("checkpoints", run.total("save_seconds")),
        ].filter { $0.1 > 0 }
        add(
            "beside them",
            apart.isEmpty ? nil : apart.map { "\($0.0) \(shortTime($0.1))" }.joined(separator: ", "))
        let waited = run.training.reduce(0) { $0 + ($1.values["data_wait_share"] ?? 0) * ($1.values["seconds"] ?? 0) }
        add(
            "waiting for data",
            training["data_wait_share"].map { _ in fixed(100 * waited / max(seconds, 1e-9), 2) + "%" })
        let (hits, misses) = (run.total("target_cache_hits"), run.total("target_cache_misses"))
        add(
            "from the target cache",
            hits + misses > 0
                ? "\(grouped(Int(hits))) of \(grouped(Int(hits + misses))) samples, "
                    + "\(fixed(100 * hits / (hits + misses), 1))%" : nil)
        add("peak memory", run.series(\.training, "peak_memory_bytes").map(\.y).max().map { shortNumber($0) + "B" })
        add("skipped steps", training["skipped_steps"].map { _ in grouped(Int(run.total("skipped_steps"))) })
        add("bad samples", training["bad_samples"].map { _ in grouped(Int(run.total("bad_samples"))) })
        self.lines = lines
    }

    /// Names of the lines of which some run says something.
    static func names(_ summaries: [RunSummary]) -> [String] {
        let lines = summaries.first?.lines ?? []
        return lines.indices.filter { i in summaries.contains { $0.lines[i].text != nil } }.map { lines[$0].name }
    }

    /// Several runs beside each other, a line each of what was measured.
    static func text(_ runs: [RunLog]) -> String {
        let summaries = runs.map(RunSummary.init)
        let header = [""] + runs.map(\.name)
        let rows = names(summaries).map { name in
            [name] + summaries.map { summary in summary.lines.first { $0.name == name }?.text ?? "" }
        }
        let table = (runs.count > 1 ? [header] : []) + rows
        let widths = header.indices.map { column in table.map { $0[column].count }.max() ?? 0 }
        return table.map { row in
            row.indices.map { column in
                column + 1 == row.count
                    ? row[column]
                    : row[column] + String(repeating: " ", count: widths[column] - row[column].count)
            }.joined(separator: "   ")
        }.joined(separator: "\n")
    }
}
