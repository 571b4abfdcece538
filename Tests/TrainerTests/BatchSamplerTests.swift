import Testing

@testable import Trainer

/// Which rank sees which sample.
struct BatchSamplerTests {
    @Test(arguments: [1, 2, 3, 4, 8], [1, 2, 5])
    func ranksShareABatchEvenly(ranks: Int, batchSize: Int) {
        let costs = (0..<50).map { 20 + Double($0 * 37 % 400) }
        let micro = BatchSampler.microBatches(
            Array(3..<43), ranks: ranks, batchSize: batchSize, cost: { costs[$0] })
        let samples = micro.map(\.numbers)
        #expect(samples.flatMap { $0.flatMap { $0 } }.sorted() == Array(3..<43), "each sample once")
        #expect(samples.allSatisfy { $0.count == ranks && $0.allSatisfy { $0.count <= batchSize } })
        let work = (0..<ranks).map { rank in samples.reduce(0) { $0 + $1[rank].reduce(0) { $0 + costs[$1] } } }
        let most = costs[3..<43].max() ?? 0
        #expect((work.max() ?? 0) - (work.min() ?? 0) <= most, "nobody waits longer than for one sample")
    }

    /// Sums over micro batches, and over ranks as each names them, are then the same for any number of ranks.
    @Test(arguments: [1, 2, 3, 8])
    func samplesStandInTheSameOrderForAnyNumberOfRanks(ranks: Int) {
        let costs = (0..<50).map { Double($0 * 37 % 20) }
        func order(_ ranks: Int) -> [Int] {
            BatchSampler.microBatches(Array(0..<42), ranks: ranks, batchSize: 1, cost: { costs[$0] })
                .flatMap { deal in deal.order.flatMap { deal.numbers[$0] } }
        }
        #expect(order(ranks) == order(1))
    }

    /// 13 and 11; dealt to and fro it would be 14 and 10.
    @Test func whoIsLeastBusyGetsTheMost() {
        let costs = [9.0, 5, 4, 3, 2, 1]
        let micro = BatchSampler.microBatches(Array(0..<6), ranks: 2, batchSize: 3, cost: { costs[$0] })
        #expect(micro.count == 1 && micro[0].numbers == [[0, 3, 5], [1, 2, 4]] && micro[0].order == [0, 1])
    }

    @Test func anEpochHasEverySampleOnceAndIsTheSameEveryTime() {
        let sampler = BatchSampler(sampleCount: 23, globalBatchSize: 4, seed: 9)
        let order = sampler.order(epoch: 2)
        #expect(order == sampler.order(epoch: 2) && order != sampler.order(epoch: 3))
        let seen = (0..<sampler.stepsPerEpoch).flatMap { sampler.batch(order, step: $0) }
        #expect(seen.sorted() == Array(0..<23))
    }
}
