import Testing

@testable import Trainer

/// Which rank sees which sample.
struct BatchSamplerTests {
    @Test(arguments: [1, 2, 3, 4, 8], [1, 2, 5])
    func ranksShareABatchEvenly(ranks: Int, batchSize: Int) {
        let lengths = (0..<50).map { 20 + $0 * 37 % 400 }
        let micro = BatchSampler.microBatches(
            Array(3..<43)[...], ranks: ranks, batchSize: batchSize, length: { lengths[$0] })
        #expect(micro.flatMap { $0.flatMap { $0 } }.sorted() == Array(3..<43), "each sample once")
        #expect(micro.allSatisfy { $0.count == ranks && $0.allSatisfy { $0.count <= batchSize } })
        let work = (0..<ranks).map { rank in micro.reduce(0) { $0 + $1[rank].reduce(0) { $0 + lengths[$1] } } }
        let longest = lengths[3..<43].max() ?? 0
        #expect((work.max() ?? 0) - (work.min() ?? 0) <= longest, "nobody waits longer than for one sample")
    }

    @Test func anEpochHasEverySampleOnceAndIsTheSameEveryTime() {
        let sampler = BatchSampler(sampleCount: 23, globalBatchSize: 4, seed: 9)
        let order = sampler.order(epoch: 2)
        #expect(order == sampler.order(epoch: 2) && order != sampler.order(epoch: 3))
        let seen = (0..<sampler.stepsPerEpoch).flatMap { sampler.batch(order, step: $0) }
        #expect(seen.sorted() == Array(0..<23))
    }
}
