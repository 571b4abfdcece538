import Shared

/// What becomes of a sample that can't be read.
enum BadSamplePolicy: String, CaseIterable, Sendable {
    /// The run stops, so that the store can be mended.
    case stop
    /// It is left out, said and counted.
    case skip
}

/// The samples of a global batch that belong to a tensor-parallel group.
struct StepBatch {
    /// Those of the whole batch that could be read.
    let samples: [Int]
    /// Those that couldn't, and were left out by every rank.
    let bad: [Int]
    /// For each micro batch, for each rank of the group, its samples.
    let micro: [[[Sample]]]
    /// For each micro batch, for each rank of the world, the numbers of its samples.
    let parts: [[[Int]]]

    /// The ranks of the world that have samples in a micro batch.
    func busyRanks(_ micro: Int) -> [Int] { parts[micro].indices.filter { !parts[micro][$0].isEmpty } }
}

/// Reads the samples of global batches, each ahead of the step that needs it.
///
/// A sample that can't be read is an error of the step that needs it, and of all ranks: those of a group read the same
/// samples, and the weight of each depends on how many there are in all.
final class BatchReader {
    private let grid: ProcessGrid
    private let policy: BadSamplePolicy
    private let ahead: ReadAhead<ReadBatch>

    private struct ReadBatch: Sendable {
        let samples: [Int]
        /// For each micro batch, for each rank of the world, its samples.
        let parts: [[[Int]]]
        let read: [Int: Result<Sample, any Error>]
    }

    /// - Parameters:
    ///   - steps: The steps that may be asked for.
    ///   - batch: A step's global batch.
    init(
        _ samples: any TrainingSamples, _ grid: ProcessGrid, batchSize: Int, policy: BadSamplePolicy,
        steps: Range<Int>, batch: @escaping @Sendable (Int) -> [Int]
    ) {
        self.grid = grid
        self.policy = policy
        let (ranks, own) = (grid.world.size, grid.groupRanks)
        // Used by the reading thread alone, but for lengths, which never change.
        nonisolated(unsafe) let samples = samples
        ahead = ReadAhead(steps) { step in
            let batch = batch(step)
            let parts = BatchSampler.microBatches(
                batch[...], ranks: ranks, batchSize: batchSize, length: samples.length(of:))
            let needed = parts.flatMap { $0[own].joined() }
            let read = needed.map { index in (index, Result { try samples.sample(at: index) }) }
            return ReadBatch(
                samples: batch, parts: parts, read: Dictionary(read, uniquingKeysWith: { first, _ in first }))
        }
    }

    /// How long steps have waited for samples so far.
    var waited: Duration { ahead.waited }

    /// A step's samples: every rank comes here, and all leave out the same.
    func batch(_ step: Int) throws -> StepBatch {
        let batch = ahead.value(step)
        let bad = try badSamples(batch)
        let parts = batch.parts.map { $0.map { $0.filter { !bad.contains($0) } } }
        return StepBatch(
            samples: batch.samples.filter { !bad.contains($0) }, bad: bad.sorted(),
            micro: try parts.map { try $0[grid.groupRanks].map { try $0.map { try sample($0, batch) } } },
            parts: parts)
    }

    private func sample(_ index: Int, _ batch: ReadBatch) throws -> Sample {
        guard let result = batch.read[index] else { preconditionFailure("sample \(index) wasn't read") }
        return try result.get()
    }

    /// The samples that some rank couldn't read.
    private func badSamples(_ batch: ReadBatch) throws -> Set<Int> {
        let failures = batch.read.compactMapValues { result -> (any Error)? in
            if case .failure(let error) = result { error } else { nil }
        }
        let flags = try grid.world.max(batch.samples.map { failures[$0] == nil ? 0 : 1 })
        let bad = Set(zip(batch.samples, flags).filter { $0.1 > 0 }.map(\.0))
        for sample in bad.sorted() {
            let reason = failures[sample].map { "\($0)" } ?? "another rank can't read it"
            if policy == .stop { throw BadSample(sample: sample, reason: reason) }
            if failures[sample] != nil, grid.tensorParallel.rank == 0 {
                Log.warning("sample \(sample) is left out: \(reason)")
            }
        }
        return bad
    }
}

/// A sample that can't be read, where that ends the run.
struct BadSample: Error, CustomStringConvertible {
    let sample: Int
    let reason: String
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
