import Foundation
import Shared
import Synchronization
import Testing

@testable import Trainer

/// Samples are read ahead of the steps, and what can't be read is left out by every rank or ends the run.
struct BatchReaderTests {
    /// Samples of different lengths, some of which can't be read.
    private struct Damaged: TrainingSamples {
        var count = 20
        var bad: Set<Int> = []

        func sample(at index: Int) throws -> Sample {
            guard !bad.contains(index) else { throw StoreError("store.mdb", "group 3 is damaged") }
            return Sample(inputIDs: Array(repeating: Int32(index), count: 3 + index % 5), lossMask: [])
        }
    }

    private static func reader(
        _ samples: Damaged, _ grid: ProcessGrid, policy: BadSamplePolicy = .skip
    ) -> BatchReader {
        let order = EpochOrder(BatchSampler(sampleCount: samples.count, globalBatchSize: 6, seed: 1))
        return BatchReader(
            samples, grid, batchSize: 2, policy: policy, steps: 0..<8,
            cost: { SampleCost(shared: 0, own: Double($0.inputIDs.count)) }
        ) { order.batch($0) }
    }

    @Test(arguments: [(1, 1), (3, 1), (4, 2)])
    func everyRankLeavesOutWhatOneCannotRead(ranks: Int, tpSize: Int) throws {
        let whole = EpochOrder(BatchSampler(sampleCount: 20, globalBatchSize: 6, seed: 1))
        let batches = try ThreadCommunicator.run(ranks) { world in
            let grid = try ProcessGrid(world: world, tpSize: tpSize)
            // A copy of the store that is damaged on one rank only.
            let bad: Set<Int> = world.rank == 0 ? [2, 7, 11] : []
            let reader = Self.reader(Damaged(bad: bad), grid)
            return try (0..<8).map { try reader.batch($0) }
        }
        for step in 0..<8 {
            let same = batches.map { $0[step] }
            #expect(Set(same.map(\.bad)).count == 1 && Set(same.map(\.samples)).count == 1)
            #expect((same[0].samples + same[0].bad).sorted() == whole.batch(step).sorted())
            #expect(same[0].bad == whole.batch(step).filter { [2, 7, 11].contains($0) }.sorted())
            let read = stride(from: 0, to: ranks, by: tpSize).flatMap { rank in
                same[rank].micro.flatMap { $0.sequences.flatMap { $0.map { Int($0.sample.inputIDs[0]) } } }
            }
            #expect(read.sorted() == same[0].samples.sorted(), "each sample is of one group")
        }
    }

    /// A draft that chooses by chance chooses the same on any number of ranks and after the run was resumed.
    @Test(arguments: [(1, 1), (3, 1), (4, 2)])
    func aSequencesSeedFollowsFromRunEpochAndSample(ranks: Int, tpSize: Int) throws {
        let sampler = BatchSampler(sampleCount: 20, globalBatchSize: 6, seed: 1)
        let seeds = try ThreadCommunicator.run(ranks) { world in
            let order = EpochOrder(sampler)
            let reader = BatchReader(
                Damaged(), try ProcessGrid(world: world, tpSize: tpSize), batchSize: 2, policy: .stop, steps: 5..<8,
                cost: { SampleCost(shared: 0, own: Double($0.inputIDs.count)) }, seed: sampler.sampleSeed
            ) { order.batch($0) }
            return try (5..<8).map { step in
                try reader.batch(step).micro.flatMap { $0.sequences.joined() }.map { sequence in
                    (sample: Int(sequence.sample.inputIDs[0]), seed: sequence.seed)
                }
            }
        }
        for steps in seeds {
            for (step, sequences) in zip(5..<8, steps) {
                for (sample, seed) in sequences { #expect(seed == sampler.sampleSeed(step: step, sample: sample)) }
            }
        }
        // Steps 4 to 7 are of one epoch, and 8 is of the next; other runs and samples have others.
        let all = [(1, 5, 3), (1, 8, 3), (1, 5, 4), (2, 5, 3)].map { seed, step, sample in
            BatchSampler(sampleCount: 20, globalBatchSize: 6, seed: seed).sampleSeed(step: step, sample: sample)
        }
        #expect(Set(all).count == all.count && sampler.sampleSeed(step: 7, sample: 3) == all[0])
    }

    @Test func theRunStopsWhereASampleIsNeededThatCannotBeRead() throws {
        let grid = try ProcessGrid(world: AbsentRanks(), tpSize: 1)
        let order = EpochOrder(BatchSampler(sampleCount: 20, globalBatchSize: 6, seed: 1))
        let bad = order.batch(2)[0]
        let reader = Self.reader(Damaged(bad: [bad]), grid, policy: .stop)
        for step in 0..<2 { #expect(try reader.batch(step).bad.isEmpty) }
        let error = #expect(throws: BadSample.self) { try reader.batch(2) }
        #expect(error?.description.contains("sample \(bad): store.mdb: group 3 is damaged") == true)
    }

    @Test func oneValueIsMadeAheadAndNoneBeyondTheEnd() throws {
        let made = Mutex<[Int]>([])
        let ahead = ReadAhead(0..<4) { number in
            made.withLock { $0.append(number) }
            return number * number
        }
        #expect(ahead.value(0) == 0 && ahead.value(1) == 1 && ahead.value(2) == 4)
        // Another order than announced: what was made ahead is dropped.
        #expect(ahead.value(1) == 1 && ahead.value(2) == 4 && ahead.value(3) == 9)
        #expect(made.withLock { $0.max() } == 3)
    }

    @Test func waitingIsMeasured() {
        let ahead = ReadAhead(0..<2) { number in
            usleep(number == 0 ? 20_000 : 1)
            return number
        }
        #expect(ahead.value(0) == 0)
        #expect(ahead.waited >= .milliseconds(15))
    }
}
