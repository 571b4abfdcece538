/// The order in which samples are seen: a new permutation each epoch, a function of seed and epoch alone.
///
/// A step's global batch is the same whatever the number of ranks; each rank takes its part. So is the position from
/// which a run goes on: the number of a step says it all.
struct BatchSampler: Sendable {
    let sampleCount: Int
    /// Samples of a step, over all ranks; the last step of an epoch has what is left.
    let globalBatchSize: Int
    let seed: UInt64

    init(sampleCount: Int, globalBatchSize: Int, seed: Int) {
        precondition(sampleCount > 0 && globalBatchSize > 0)
        self.sampleCount = sampleCount
        self.globalBatchSize = globalBatchSize
        self.seed = UInt64(bitPattern: Int64(seed))
    }

    var stepsPerEpoch: Int { (sampleCount + globalBatchSize - 1) / globalBatchSize }

    /// The samples in an epoch's order (Fisher and Yates's shuffle).
    func order(epoch: Int) -> [Int] {
        var order = Array(0..<sampleCount)
        var random = SplitMix64(seed: seed &* 0x2545_F491_4F6C_DD1D &+ UInt64(epoch))
        for i in stride(from: sampleCount - 1, to: 0, by: -1) { order.swapAt(i, random.below(i + 1)) }
        return order
    }

    /// The global batch of a step within an epoch's order.
    func batch(_ order: [Int], step: Int) -> ArraySlice<Int> {
        let first = step % stepsPerEpoch * globalBatchSize
        return order[first..<min(first + globalBatchSize, sampleCount)]
    }

    /// The ranks in the order in which a round of samples is dealt to them: to and fro.
    static func dealingOrder(round: Int, ranks: Int) -> [Int] {
        round.isMultiple(of: 2) ? Array(0..<ranks) : (0..<ranks).reversed()
    }

    /// A global batch divided among ranks, and each rank's part cut into micro batches.
    ///
    /// The longest samples are dealt first, to and fro, so that ranks have as much to do as each other.
    ///
    /// - Parameter length: The tokens of a sample.
    /// - Returns: For each micro batch, for each rank, its samples; all ranks have as many micro batches, the last of
    ///   which may be empty for some.
    static func microBatches(
        _ batch: ArraySlice<Int>, ranks: Int, batchSize: Int, length: (Int) -> Int
    ) -> [[[Int]]] {
        let lengths = batch.map { (length: length($0), sample: $0) }
        var parts = [[Int]](repeating: [], count: ranks)
        for (i, entry) in lengths.sorted(by: { ($1.length, $0.sample) < ($0.length, $1.sample) }).enumerated() {
            parts[dealingOrder(round: i / ranks, ranks: ranks)[i % ranks]].append(entry.sample)
        }
        let count = parts.map { ($0.count + batchSize - 1) / batchSize }.max() ?? 0
        return (0..<count).map { micro in
            parts.map { Array($0.dropFirst(micro * batchSize).prefix(batchSize)) }
        }
    }
}

/// A sampler that remembers the order of the epoch at hand, for one thread.
final class EpochOrder: @unchecked Sendable {
    private let sampler: BatchSampler
    private var order: (epoch: Int, samples: [Int])?

    init(_ sampler: BatchSampler) { self.sampler = sampler }

    /// The global batch of a step.
    func batch(_ step: Int) -> [Int] {
        let epoch = step / sampler.stepsPerEpoch
        if let order, order.epoch == epoch { return Array(sampler.batch(order.samples, step: step)) }
        let samples = sampler.order(epoch: epoch)
        order = (epoch, samples)
        return Array(sampler.batch(samples, step: step))
    }
}
