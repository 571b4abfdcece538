import Shared

/// Numbers that describe a store as a whole.
struct StoreStatistics {
    /// Draft vocabulary sizes that are shown where none is asked for.
    private static let defaultSizes = [4000, 8000, 16000, 32000, 64000, 128_000]

    let figures: StoreFigures
    let manifest: StoreManifest
    /// Tokens of samples, ascending.
    let lengths: [Int]
    let coverage: VocabularyCoverage
    let draftVocabSizes: [Int]

    /// - Parameters:
    ///   - draftVocabSizes: The draft vocabularies whose coverage is wanted; none for the default ones.
    ///   - heldOut: A store of other data with the same vocabulary, to see how much of it the draft vocabularies cover.
    init(_ store: SampleStore, draftVocabSizes: [Int] = [], heldOut: SampleStore? = nil) throws {
        figures = try StoreFigures(store)
        manifest = store.manifest
        lengths = (0..<store.count).map(store.length).sorted()
        if let heldOut, heldOut.manifest.vocabSize != manifest.vocabSize {
            throw StoreError(
                heldOut.path,
                "has a vocabulary of \(heldOut.manifest.vocabSize), should have \(manifest.vocabSize) as \(store.path) has"
            )
        }
        let coverage = VocabularyCoverage(
            counts: try store.tokenCounts(), always: store.manifest.specialTokens.map(\.id),
            heldOut: try heldOut?.tokenCounts())
        self.coverage = coverage
        let possible = coverage.smallest...coverage.vocabSize
        if let wrong = draftVocabSizes.first(where: { !possible.contains($0) }) {
            throw OptionsError.rule(
                "--draft-vocab-size is \(wrong), should be \(possible.lowerBound) to \(possible.upperBound)")
        }
        self.draftVocabSizes =
            draftVocabSizes.isEmpty
            ? Set(Self.defaultSizes + manifest.draftVocabSizes).filter(possible.contains).sorted()
            : draftVocabSizes.sorted()
    }

    func length(atShare share: Double) -> Int {
        lengths.isEmpty ? 0 : lengths[Int(share * Double(lengths.count - 1))]
    }

    var text: String {
        var lines = [figures.path]
        for file in manifest.files { lines.append("  dataset       \(file.path), \(file.status.size) bytes") }
        for setting in manifest.described { lines.append("  \(padded(setting.name, 24))\(setting.value)") }
        lines += figures.lines
        let shares = [("shortest", 0.0), ("10%", 0.1), ("median", 0.5), ("90%", 0.9), ("longest", 1.0)]
        lines.append("  lengths       " + shares.map { "\($0.0) \(length(atShare: $0.1))" }.joined(separator: ", "))
        lines.append(
            "  vocabulary    \(manifest.vocabSize), of which \(coverage.distinctTokens) are supervised somewhere")
        for size in draftVocabSizes {
            let heldOut = coverage.heldOutShare(draftVocabSize: size).map {
                ", \(fixed(100 * $0, 3))% of held-out data"
            }
            let share = fixed(100 * coverage.share(draftVocabSize: size), 3)
            let isStored = manifest.draftVocabSizes.contains(size) ? ", mapping stored" : ""
            lines.append("    draft \(padded("\(size)", 8))covers \(share)%\(heldOut ?? "")\(isStored)")
        }
        return lines.joined(separator: "\n")
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    var json: JSONText {
        func shares(_ share: (Int) -> Double?) -> JSONText {
            .object(draftVocabSizes.compactMap { size in share(size).map { ("\(size)", .number($0)) } })
        }
        let lengths = [("min", 0.0), ("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("max", 1.0)].map {
            ($0.0, JSONText.int(length(atShare: $0.1)))
        }
        return .object(
            figures.members + [
                ("manifest", manifest.json), ("lengths", .object(lengths)),
                ("distinct_supervised_tokens", .int(coverage.distinctTokens)),
                ("coverage", shares { coverage.share(draftVocabSize: $0) }),
                ("held_out_coverage", shares { coverage.heldOutShare(draftVocabSize: $0) }),
            ])
    }
}
