import Shared

/// About how many FLOP a sequence takes in a step, by which batches are divided: the same on all ranks.
///
/// The target runs over all rows up to the last supervised token, 2 · 12 hidden² of a layer for each (Kaplan and others
/// 2020, 2.1). The draft runs forward and backward, 6 for each of its weights, in every step of training-time test, from
/// the supervised tokens.
struct SequenceCost: Sendable {
    private let targetRow: Double
    private let draftRow: Double

    init(_ model: OnlineEagle3) {
        let target = model.target.configuration
        let layer = 24 * Double(target.hiddenSize) * Double(target.hiddenSize)
        // With a cache of features too: a run with one gives what a run without one gives, bit for bit.
        targetRow = Double(target.numHiddenLayers) * layer
        draftRow = 6 * Double(model.tttLength) * Double(model.draft.parameters.weights.count)
    }

    func callAsFunction(_ sample: Sample) -> Double {
        let rows = (sample.lossMask.lastIndex(of: true) ?? -1) + 1
        let supervised = sample.lossMask.reduce(0) { $0 + ($1 ? 1 : 0) }
        return Double(rows) * targetRow + Double(supervised) * draftRow
    }
}
