import Shared

extension Overflow {
    /// A sample made to fit the most tokens.
    ///
    /// - Throws: `Rejection` if it is too long and dropped.
    func fit(_ sample: Sample, _ maxLength: Int) throws(Rejection) -> [Sample] {
        guard sample.inputIDs.count > maxLength else { return [sample] }
        switch self {
        case .truncate: return [sample.part(0..<maxLength)]
        case .drop:
            throw Rejection(.tooLong, "has \(sample.inputIDs.count) tokens, should have at most \(maxLength)")
        case .split:
            return stride(from: 0, to: sample.inputIDs.count, by: maxLength).map {
                sample.part($0..<min($0 + maxLength, sample.inputIDs.count))
            }
        }
    }
}

extension Sample {
    var supervisedCount: Int { lossMask.reduce(0) { $0 + ($1 ? 1 : 0) } }

    fileprivate func part(_ range: Range<Int>) -> Sample {
        Sample(inputIDs: Array(inputIDs[range]), lossMask: Array(lossMask[range]))
    }
}

extension SampleBuilder.Settings {
    init(_ settings: BuildSettings, ignoredTokens: Set<Int32>, vocabSize: Int) {
        self.init(
            maxLength: settings.maxLength, overflow: settings.overflow,
            trainsOnlyLastTurn: settings.trainOnlyLastTurn, isRowPerTurn: settings.rowPerTurn,
            minLossTokens: settings.minLossTokens, ignoredTokens: ignoredTokens, vocabSize: vocabSize)
    }
}
