import Shared

/// The table that `--profile` prints: for each phase the seconds of a rank, the mean over all with the least and the
/// most, its share and its calls.
struct ProfileReport {
    /// A phase, or what belongs to none, over the ranks.
    struct Line: Equatable {
        let name: String
        let mean: Double
        let least: Double
        let most: Double
        /// Of this rank.
        let calls: Int?
    }

    let lines: [Line]
    /// Seconds that passed, the mean over the ranks.
    let elapsed: Double

    /// Puts together what all ranks have measured.
    ///
    /// Collective: call on all ranks.
    init(_ times: PhaseTimes, over world: any Communicator) {
        let phases = Profile.Phase.allCases
        let own = phases.map { times[$0].seconds } + [times.other, times.elapsed]
        let mean = world.sum(own).map { $0 / Double(world.size) }
        let most = world.max(own)
        let least = world.max(own.map { -$0 }).map { -$0 }
        let names = phases.map(\.name) + ["other"]
        let calls = phases.map { times[$0].calls }
        lines = names.enumerated().map { index, name in
            Line(
                name: name, mean: mean[index], least: least[index], most: most[index],
                calls: index < calls.count ? calls[index] : nil)
        }
        elapsed = mean[phases.count + 1]
    }

    /// A phase's share of the time, 0 to 1.
    func share(of phase: Profile.Phase) -> Double {
        (lines.first { $0.name == phase.name }?.mean ?? 0) / max(elapsed, 1e-9)
    }

    var text: String {
        let rows = lines.filter { $0.most > 0 }.map { line in
            [
                line.name, fixed(line.mean, 3), "\(fixed(100 * line.mean / max(elapsed, 1e-9), 1))%",
                "\(fixed(line.least, 3)) to \(fixed(line.most, 3))", line.calls.map { "\($0)" } ?? "",
            ]
        }
        let header = ["phase", "seconds", "share", "over ranks", "calls"]
        let total = ["all", fixed(elapsed, 3), "100.0%", "", ""]
        let table = [header] + rows + [total]
        let widths = header.indices.map { column in table.map { $0[column].count }.max() ?? 0 }
        return table.map { row in
            let cells = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + space : space + cell
            }
            return ("  " + cells.joined(separator: "  ")).trimmingSuffix { $0 == " " }
        }.joined(separator: "\n")
    }
}

extension ProcessGrid {
    /// Collective: logs where the time went.
    func logProfile() {
        let report = ProfileReport(Profile.times, over: world)
        Log.line("profile:\n\(report.text)")
    }
}
