import Shared

/// What every report of a store has: how many records and tokens are in it, and what it takes on disk.
struct StoreFigures {
    let path: String
    let bytes: Int
    let counts: StoreCounts
    private let isOfPrompts: Bool

    init(_ store: SampleStore) throws {
        path = store.path
        bytes = try FileStatus(of: store.path).size
        counts = store.manifest.counts
        isOfPrompts = store.manifest.settings.known.contents == .prompts
    }

    var bytesPerToken: Double { Double(bytes) / Double(max(counts.tokens, 1)) }

    /// Lines of a report, indented by two; samples and repairs only where not all records are samples as they are.
    var lines: [String] {
        func list(_ counts: [String: Int]) -> [String] {
            counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "    \($0.value)  \($0.key)" }
        }
        var lines = ["  records       \(counts.read) read, \(counts.kept) kept, \(counts.rejectedTotal) rejected"]
        lines += list(counts.rejected)
        if counts.samples != counts.kept || counts.truncated > 0 || counts.leftOut > 0 {
            lines.append("  samples       \(counts.samples), \(counts.truncated) cut off; \(counts.leftOut) left out")
        }
        if !counts.repaired.isEmpty {
            lines.append("  repaired      \(counts.droppedMessages) messages left out")
            lines += list(counts.repaired)
        }
        let purpose =
            isOfPrompts
            ? "of prompts; \(counts.supervisedTokens) answers to make"
            : "\(fixed(100 * counts.supervisedShare, 1))% supervised"
        lines.append("  tokens        \(counts.tokens)\(isOfPrompts ? " " : ", ")\(purpose)")
        lines.append("  size          \(shortNumber(Double(bytes)))B, \(fixed(bytesPerToken, 3)) bytes/token")
        return lines
    }

    /// Members of a report as JSON.
    var members: [(String, JSONText)] {
        [("store", .string(path)), ("bytes", .int(bytes)), ("bytes_per_token", .number(bytesPerToken))]
    }
}
