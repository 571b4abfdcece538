import Shared

/// What becomes of samples with more than the most tokens.
enum Overflow: String, CaseIterable, OptionValue {
    /// What is behind the most tokens is cut off.
    case truncate
    /// The record is rejected.
    case drop
    /// The record becomes several samples, each but the last with the most tokens.
    case split

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
