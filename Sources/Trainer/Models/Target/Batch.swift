import Shared

/// The rows of several sequences, concatenated; there is no padding anywhere.
struct Batch {
    /// [rows]: token ids.
    let inputIDs: [Int32]
    /// [rows]: whether a token is the assistant's.
    let lossMask: [Bool]
    /// Where each sequence begins, and at the end the number of rows.
    let starts: [Int]

    init(_ samples: [Sample]) {
        inputIDs = samples.flatMap(\.inputIDs)
        lossMask = samples.flatMap(\.lossMask)
        starts = samples.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.inputIDs.count) }
    }

    var rows: Int { inputIDs.count }
    var sequenceCount: Int { starts.count - 1 }

    /// The rows of a sequence.
    func rows(of sequence: Int) -> Range<Int> { starts[sequence]..<starts[sequence + 1] }

    /// Each row's position in its sequence.
    var positions: [Int32] {
        (0..<sequenceCount).flatMap { sequence in (0..<rows(of: sequence).count).map(Int32.init) }
    }
}
