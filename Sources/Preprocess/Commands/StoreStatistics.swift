import Shared

/// Numbers that describe a store as a whole.
struct StoreStatistics {
    private static let draftVocabSizes = [4000, 8000, 16000, 32000, 64000, 128_000]

    private let path: String
    private let bytes: Int
    private let manifest: StoreManifest
    /// Tokens of samples, ascending.
    private let lengths: [Int]
    private let coverage: [(draftVocabSize: Int, share: Double)]
    private let distinctTokens: Int

    init(_ store: SampleStore) throws {
        path = store.path
        bytes = try FileStatus(of: store.path).size
        let manifest = store.manifest
        self.manifest = manifest
        lengths = (0..<store.count).map(store.length).sorted()
        let counts = try store.tokenCounts()
        distinctTokens = counts.count { $0 > 0 }
        let always = manifest.specialTokens.map(\.id)
        let sizes = Self.draftVocabSizes.filter { $0 < manifest.vocabSize && $0 >= Set(always).count }
        coverage = try sizes.map { size in
            (size, try VocabularyMapping.derive(counts: counts, draftVocabSize: size, always: always).coverage)
        }
    }

    private func length(atShare share: Double) -> Int {
        lengths.isEmpty ? 0 : lengths[Int(share * Double(lengths.count - 1))]
    }

    private var bytesPerToken: Double { Double(bytes) / Double(max(1, manifest.counts.tokens)) }

    var text: String {
        let counts = manifest.counts
        var lines = [path]
        for file in manifest.files { lines.append("  dataset       \(file.path), \(file.status.size) bytes") }
        for setting in manifest.settings { lines.append("  \(padded(setting.name, 24))\(setting.value)") }
        lines.append("  records       \(counts.read) read, \(counts.kept) kept, \(counts.rejectedTotal) rejected")
        for (reason, count) in counts.rejected.sorted(by: { $0.key < $1.key }) {
            lines.append("    rejected    \(count)  \(reason)")
        }
        for (reason, count) in counts.repaired.sorted(by: { $0.key < $1.key }) {
            lines.append("    repaired    \(count)  \(reason)")
        }
        lines.append("  tokens        \(counts.tokens), \(fixed(100 * counts.supervisedShare, 1))% supervised")
        lines.append("  size          \(bytes) bytes, \(fixed(bytesPerToken, 3)) a token")
        let shares = [("shortest", 0.0), ("10%", 0.1), ("median", 0.5), ("90%", 0.9), ("longest", 1.0)]
        lines.append("  lengths       " + shares.map { "\($0.0) \(length(atShare: $0.1))" }.joined(separator: ", "))
        lines.append("  vocabulary    \(manifest.vocabSize), of which \(distinctTokens) are supervised somewhere")
        for (size, share) in coverage {
            lines.append("    draft \(padded("\(size)", 8))covers \(fixed(100 * share, 3))%")
        }
        return lines.joined(separator: "\n")
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    var json: JSONText {
        .object([
            ("store", .string(path)), ("bytes", .int(bytes)), ("bytes_per_token", .number(bytesPerToken)),
            ("manifest", manifest.json),
            (
                "lengths",
                .object(
                    [("min", 0.0), ("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("max", 1.0)].map {
                        ($0.0, .int(length(atShare: $0.1)))
                    })
            ), ("distinct_supervised_tokens", .int(distinctTokens)),
            ("coverage", .object(coverage.map { ("\($0.draftVocabSize)", .number($0.share)) })),
        ])
    }
}
