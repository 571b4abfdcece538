import Shared

/// What a build reports in the end.
struct BuildReport {
    private let outcome: BuildSession.Outcome
    private let figures: StoreFigures
    /// Of each draft vocabulary that was asked for: its size and the share of supervised tokens that it has.
    private let draftVocabularies: [(size: Int, coverage: Double)]

    init(_ outcome: BuildSession.Outcome, _ store: SampleStore, draftVocabSizes: [Int]) throws {
        self.outcome = outcome
        figures = try StoreFigures(store)
        draftVocabularies = try draftVocabSizes.map {
            ($0, try store.vocabularyMapping(draftVocabSize: $0).coverage)
        }
    }

    private var tokensPerSecond: Double { Double(outcome.newTokens) / max(outcome.seconds, 1e-9) }

    var text: String {
        var lines = [outcome.isUpToDate ? "up to date: \(figures.path)" : "built \(figures.path)"] + figures.lines
        for (size, coverage) in draftVocabularies {
            lines.append(
                "  draft         a vocabulary of \(size) covers \(fixed(100 * coverage, 2))% of supervised tokens")
        }
        if !outcome.isUpToDate {
            lines.append(
                "  time          \(fixed(outcome.seconds, 1)) s, \(shortNumber(tokensPerSecond)) tokens/s, "
                    + "\(Machine.peakResidentBytes >> 20) MiB at most")
        }
        return lines.joined(separator: "\n")
    }

    var json: JSONText {
        var members =
            figures.members + [
                ("up_to_date", .bool(outcome.isUpToDate)), ("counts", figures.counts.json),
                ("supervised_share", .number(figures.counts.supervisedShare)),
                ("draft_vocab_size", .int(draftVocabularies.first?.size ?? 0)),
                ("draft_vocab_coverage", .number(draftVocabularies.first?.coverage ?? 0)),
                ("draft_vocabularies", .object(draftVocabularies.map { ("\($0.size)", .number($0.coverage)) })),
                ("peak_resident_bytes", .int(Machine.peakResidentBytes)),
            ]
        if !outcome.isUpToDate {
            members.append(("seconds", .number(outcome.seconds)))
            members.append(("tokens_per_second", .number(tokensPerSecond)))
        }
        return .object(members)
    }
}
