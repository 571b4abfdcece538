/// The order in which samples are seen: a new permutation each epoch, a function of seed and epoch alone.
///
/// A step's global batch is the same whatever the number of ranks; each rank has its part. So is the position from
/// which a run resumes: the number of a step determines it.
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

    var stepsPerEpoch: Int { Self.stepsPerEpoch(sampleCount, globalBatchSize: globalBatchSize) }

    static func stepsPerEpoch(_ sampleCount: Int, globalBatchSize: Int) -> Int {
        (sampleCount + globalBatchSize - 1) / globalBatchSize
    }

    /// The samples in an epoch's order (Fisher and Yates's shuffle).
    func order(epoch: Int) -> [Int] {
        var order = Array(0..<sampleCount)
        var random = SplitMix64(seed: seed &* 0x2545_F491_4F6C_DD1D &+ UInt64(epoch))
        for i in stride(from: sampleCount - 1, to: 0, by: -1) { order.swapAt(i, random.below(i + 1)) }
        return order
    }

    /// The seed of what a draft chooses by chance in a sample, in the epoch of a step.
    func sampleSeed(step: Int, sample: Int) -> UInt64 {
        var random = SplitMix64(
            seed: seed &* 0x2545_F491_4F6C_DD1D &+ UInt64(step / stepsPerEpoch) &* 0x9FB2_1C65_1E98_DF25)
        return random.next() &+ UInt64(sample) &* 0xD6E8_FEB8_6659_FD93
    }

    /// The global batch of a step within an epoch's order.
    func batch(_ order: [Int], step: Int) -> ArraySlice<Int> {
        let first = step % stepsPerEpoch * globalBatchSize
        return order[first..<min(first + globalBatchSize, sampleCount)]
    }

    /// A global batch divided among ranks, and each rank's part cut into micro batches.
    ///
    /// The most expensive samples are dealt first, one to each rank in a round, and in each round the groups that have
    /// least to do so far get the most, and within a group the ranks that have least to do by themselves: so groups have
    /// as much to do as each other, and so have ranks in what they don't do together.
    ///
    /// - Parameters:
    ///   - tpSize: Ranks of a tensor-parallel group, which are neighbours.
    ///   - cost: How long a sample takes, relative to others.
    /// - Returns: All ranks have as many micro batches, the last of which may be empty for some.
    static func microBatches(
        _ batch: [Int], ranks: Int, tpSize: Int = 1, batchSize: Int, cost: (Int) -> SampleCost
    ) -> [Deal] {
        let sorted = batch.map { (cost: cost($0), sample: $0) }.sorted {
            ($1.cost.total, $0.sample) < ($0.cost.total, $1.sample)
        }
        var micro: [Deal] = []
        var groupWork = [Double](repeating: 0, count: ranks / tpSize)
        var ownWork = [Double](repeating: 0, count: ranks)
        for (round, first) in stride(from: 0, to: sorted.count, by: ranks).enumerated() {
            let entries = sorted[first..<min(first + ranks, sorted.count)]
            var shares = [[Int]](repeating: [], count: groupWork.count)
            for (index, entry) in zip(entries.indices, entries) {
                let open = groupWork.indices.filter { shares[$0].count < tpSize }
                guard let group = open.min(by: { (groupWork[$0], $0) < (groupWork[$1], $1) }) else { continue }
                shares[group].append(index)
                groupWork[group] += entry.cost.total
            }
            var rankOf: [Int: Int] = [:]
            for (group, share) in shares.enumerated() {
                let members = (group * tpSize..<(group + 1) * tpSize).sorted { (ownWork[$0], $0) < (ownWork[$1], $1) }
                let byOwn = share.sorted { (sorted[$1].cost.own, $0) < (sorted[$0].cost.own, $1) }
                for (index, rank) in zip(byOwn, members) {
                    rankOf[index] = rank
                    ownWork[rank] += sorted[index].cost.own
                }
            }
            let busy = entries.indices.compactMap { rankOf[$0] }
            if round.isMultiple(of: batchSize) {
                let idle = Set(0..<ranks).subtracting(busy).sorted()
                micro.append(Deal(numbers: Array(repeating: [], count: ranks), order: busy + idle))
            }
            for (entry, rank) in zip(entries, busy) { micro[micro.count - 1].numbers[rank].append(entry.sample) }
        }
        return micro
    }
}

/// How long a sample takes, relative to others.
struct SampleCost: Equatable, Sendable {
    /// What the ranks of a tensor-parallel group do together.
    var shared: Double
    /// What the rank does that has the sample.
    var own: Double

    var total: Double { shared + own }
}

extension BatchSampler {
    /// Which samples the ranks work on at a time.
    struct Deal {
        /// For each rank, the indices of its samples.
        fileprivate(set) var numbers: [[Int]]
        /// The ranks, from the one with the most expensive sample to the one with the least expensive, or none: so
        /// samples of a batch are in the same order for any number of ranks, where each has one at a time.
        let order: [Int]
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
