import Shared

/// What a build reports in the end.
struct BuildReport {
    let isUpToDate: Bool
    var seconds = 0.0
    /// Tokens of the samples that were made in this run.
    var newTokens = 0
    private var path = ""
    private var bytes = 0
    private var counts = StoreCounts()
    /// Of each draft vocabulary that was asked for: its size and the share of supervised tokens that it has.
    private var draftVocabularies: [(size: Int, coverage: Double)] = []

    init(isUpToDate: Bool, seconds: Double = 0, newTokens: Int = 0) {
        self.isUpToDate = isUpToDate
        self.seconds = seconds
        self.newTokens = newTokens
    }

    mutating func add(_ store: SampleStore, draftVocabSizes: [Int]) throws {
        path = store.path
        bytes = try FileStatus(of: store.path).size
        counts = store.manifest.counts
        draftVocabularies = try draftVocabSizes.map {
            ($0, try store.vocabularyMapping(draftVocabSize: $0).coverage)
        }
    }

    private var bytesPerToken: Double { Double(bytes) / Double(max(counts.tokens, 1)) }
    private var tokensPerSecond: Double { Double(newTokens) / max(seconds, 1e-9) }

    var text: String {
        func list(_ counts: [String: Int]) -> String {
            counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\n    \($0.value)  \($0.key)" }.joined()
        }
        var lines = [isUpToDate ? "up to date: \(path)" : "built \(path)"]
        lines.append("  records       \(counts.read) read, \(counts.kept) kept, \(counts.rejectedTotal) rejected")
        if !counts.rejected.isEmpty { lines[lines.count - 1] += list(counts.rejected) }
        if counts.samples != counts.kept || counts.truncated > 0 || counts.leftOut > 0 {
            lines.append(
                "  samples       \(counts.samples), of which \(counts.truncated) were cut off; \(counts.leftOut) left out"
            )
        }
        if !counts.repaired.isEmpty {
            lines.append("  repaired      \(counts.droppedMessages) messages left out" + list(counts.repaired))
        }
        lines.append(
            "  tokens        \(counts.tokens), \(fixed(100 * counts.supervisedShare, 1))% supervised")
        lines.append("  size          \(shortNumber(Double(bytes)))B, \(fixed(bytesPerToken, 3)) bytes/token")
        for (size, coverage) in draftVocabularies {
            lines.append(
                "  draft         a vocabulary of \(size) covers \(fixed(100 * coverage, 2))% of supervised tokens")
        }
        if !isUpToDate {
            lines.append(
                "  time          \(fixed(seconds, 1)) s, \(shortNumber(tokensPerSecond)) tokens/s, "
                    + "\(Machine.peakResidentBytes >> 20) MiB at most")
        }
        return lines.joined(separator: "\n")
    }

    var json: JSONText {
        var members: [(String, JSONText)] = [
            ("store", .string(path)), ("up_to_date", .bool(isUpToDate)), ("counts", counts.json),
            ("supervised_share", .number(counts.supervisedShare)), ("bytes", .int(bytes)),
            ("bytes_per_token", .number(bytesPerToken)),
            ("draft_vocab_size", .int(draftVocabularies.first?.size ?? 0)),
            ("draft_vocab_coverage", .number(draftVocabularies.first?.coverage ?? 0)),
            (
                "draft_vocabularies",
                .object(draftVocabularies.map { ("\($0.size)", .number($0.coverage)) })
            ),
            ("peak_resident_bytes", .int(Machine.peakResidentBytes)),
        ]
        if !isUpToDate {
            members.append(("seconds", .number(seconds)))
            members.append(("tokens_per_second", .number(tokensPerSecond)))
        }
        return .object(members)
    }
}
