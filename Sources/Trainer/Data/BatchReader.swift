import Shared

/// What becomes of a sample that can't be read.
enum BadSamplePolicy: String, CaseIterable, Sendable {
    /// The run stops, so that the store can be mended.
    case stop
    /// It is left out, logged and counted.
    case skip
}

/// The samples of a global batch that belong to a tensor-parallel group.
struct StepBatch {
    /// Those of the whole batch that could be read.
    let samples: [Int]
    /// Those that couldn't, and were left out by every rank.
    let bad: [Int]
    /// As many for every rank.
    let micro: [MicroBatch]
}

/// What all ranks work on at a time.
struct MicroBatch {
    /// For each rank of the tensor-parallel group, its sequences.
    let sequences: [[TrainingSequence]]
    /// For each rank of the world, the indices of its samples.
    let numbers: [[Int]]
    /// The ranks of the world, in the order in which samples were dealt to them.
    let order: [Int]

    /// The ranks that have samples, in that order.
    var busyRanks: [Int] { order.filter { !numbers[$0].isEmpty } }
}

/// Reads the samples of global batches, each ahead of the step that needs it.
///
/// Every rank reads the whole batch, which takes it a millisecond for tens of thousands of tokens, and divides it by what
/// samples cost. A sample that can't be read is an error of the step that needs it, and of all ranks: all divide the
/// batch alike, and the weight of each sample depends on how many there are in all.
final class BatchReader {
    private let grid: ProcessGrid
    private let policy: BadSamplePolicy
    private let batchSize: Int
    private let seed: (_ step: Int, _ sample: Int) -> UInt64
    private let ahead: ReadAhead<ReadBatch>

    private struct ReadBatch: Sendable {
        let samples: [Int]
        let read: [Int: Result<(sample: Sample, cost: SampleCost), any Error>]
    }

    /// - Parameters:
    ///   - steps: The steps that may be asked for.
    ///   - cost: How long a sample takes; the same on all ranks.
    ///   - seed: What a draft chooses by in a sample of a step; see `TrainingSequence`.
    ///   - batch: A step's global batch.
    init(
        _ samples: any TrainingSamples, _ grid: ProcessGrid, batchSize: Int, policy: BadSamplePolicy,
        steps: Range<Int>, cost: @escaping @Sendable (Sample) -> SampleCost,
        seed: @escaping (_ step: Int, _ sample: Int) -> UInt64 = { UInt64($1) },
        batch: @escaping @Sendable (Int) -> [Int]
    ) {
        self.grid = grid
        self.policy = policy
        self.seed = seed
        self.batchSize = batchSize
        // Used by the reading thread alone.
        nonisolated(unsafe) let samples = samples
        ahead = ReadAhead(steps) { step in
            let batch = batch(step)
            let read = batch.map { index in
                (index, Result { try samples.sample(at: index) }.map { (sample: $0, cost: cost($0)) })
            }
            return ReadBatch(samples: batch, read: Dictionary(read, uniquingKeysWith: { first, _ in first }))
        }
    }

    /// How long steps have waited for samples so far.
    var waited: Duration { ahead.waited }

    /// A step's samples.
    ///
    /// Collective: call on all ranks, which leave out the same ones.
    func batch(_ step: Int) throws -> StepBatch {
        let batch = ahead.value(step)
        let bad = try badSamples(batch)
        let read = try batch.read.filter { !bad.contains($0.key) }.mapValues { try $0.get() }
        let samples = batch.samples.filter { read[$0] != nil }
        let deals = BatchSampler.microBatches(
            samples, ranks: grid.world.size, tpSize: grid.tpSize, batchSize: batchSize
        ) {
            read[$0]?.cost ?? SampleCost(shared: 0, own: 0)
        }
        let micro = deals.map { deal in
            MicroBatch(
                sequences: deal.numbers[grid.groupRanks].map { numbers in
                    numbers.compactMap { number in
                        read[number].map { TrainingSequence(sample: $0.sample, seed: seed(step, number)) }
                    }
                },
                numbers: deal.numbers, order: deal.order)
        }
        return StepBatch(samples: samples, bad: bad.sorted(), micro: micro)
    }

    /// The samples that some rank couldn't read.
    private func badSamples(_ batch: ReadBatch) throws -> Set<Int> {
        try BadSample.agree(on: batch.samples.map { ($0, batch.read[$0]?.failure) }, policy, grid)
    }
}

extension Result {
    var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}

/// A sample that can't be read, where that ends the run.
struct BadSample: Error, CustomStringConvertible {
    let sample: Int
    let reason: String

    /// The samples that some rank couldn't read, which it logs.
    ///
    /// Collective: call on all ranks, with the same samples.
    /// - Throws: `BadSample` on all ranks, if that ends the run.
    static func agree(
        on samples: [(number: Int, failure: (any Error)?)], _ policy: BadSamplePolicy, _ grid: ProcessGrid
    ) throws -> Set<Int> {
        let flags = grid.world.max(samples.map { $0.failure == nil ? 0 : 1 })
        let bad = zip(samples, flags).filter { $0.1 > 0 }.map(\.0)
        for (sample, failure) in bad.sorted(by: { $0.number < $1.number }) {
            let reason = failure.map { "\($0)" } ?? "another rank can't read it"
            if policy == .stop { throw BadSample(sample: sample, reason: reason) }
            if failure != nil, grid.tensorParallel.rank == 0 { Log.warning("sample \(sample) is left out: \(reason)") }
        }
        return Set(bad.map(\.number))
    }

    var description: String {
        "sample \(sample): \(reason); build the store again, or leave such samples out with --on-bad-sample skip"
    }
}

extension ProcessGrid {
    /// The ranks of the world that are in this tensor-parallel group.
    var groupRanks: Range<Int> {
        let first = world.rank - tensorParallel.rank
        return first..<first + tensorParallel.size
    }
}
