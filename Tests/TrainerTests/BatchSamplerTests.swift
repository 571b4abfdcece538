import Testing

@testable import Trainer

/// Which rank sees which sample.
struct BatchSamplerTests {
    @Test(arguments: [1, 2, 3, 4, 8], [1, 2, 5])
    func ranksShareABatchEvenly(ranks: Int, batchSize: Int) {
        let costs = (0..<50).map { 20 + Double($0 * 37 % 400) }
        let micro = BatchSampler.microBatches(
            Array(3..<43), ranks: ranks, batchSize: batchSize, cost: { SampleCost(shared: 0, own: costs[$0]) })
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
            BatchSampler.microBatches(
                Array(0..<42), ranks: ranks, batchSize: 1, cost: { SampleCost(shared: 0, own: costs[$0]) }
            )
            .flatMap { deal in deal.order.flatMap { deal.numbers[$0] } }
        }
        #expect(order(ranks) == order(1))
    }

    /// 13 and 11; dealt to and fro it would be 14 and 10.
    @Test func whoIsLeastBusyGetsTheMost() {
        let costs = [9.0, 5, 4, 3, 2, 1]
        let micro = BatchSampler.microBatches(
            Array(0..<6), ranks: 2, batchSize: 3, cost: { SampleCost(shared: 0, own: costs[$0]) })
        #expect(micro.count == 1 && micro[0].numbers == [[0, 3, 5], [1, 2, 4]] && micro[0].order == [0, 1])
    }

    /// What a group does together and what each rank does by itself are even, also where a sample has much of one kind
    /// and another sample much of the other, and all cost the same together.
    @Test(arguments: [(4, 2), (6, 3), (8, 4), (4, 4), (8, 2)], [1, 2])
    func ranksOfAGroupShareTheirOwnWorkEvenly(ranks: (all: Int, tpSize: Int), batchSize: Int) {
        var random = RandomNumbers(seed: 11)
        let costs = (0..<96).map { _ in
            let shared = Double(random.below(90))
            return SampleCost(shared: shared + 5, own: 95 - shared)
        }
        let micro = BatchSampler.microBatches(
            Array(0..<96), ranks: ranks.all, tpSize: ranks.tpSize, batchSize: batchSize, cost: { costs[$0] })
        #expect(micro.flatMap { $0.numbers.flatMap { $0 } }.sorted() == Array(0..<96), "each sample once")
        #expect(micro.allSatisfy { $0.numbers.allSatisfy { $0.count <= batchSize } })
        #expect(micro.allSatisfy { Set($0.order) == Set(0..<ranks.all) })
        let own = (0..<ranks.all).map { rank in
            micro.reduce(0) { $0 + $1.numbers[rank].reduce(0) { $0 + costs[$1].own } }
        }
        for first in stride(from: 0, to: ranks.all, by: ranks.tpSize) {
            let members = own[first..<first + ranks.tpSize]
            let (most, least) = (members.max() ?? 0, members.min() ?? 0)
            #expect(most - least <= 95, "ranks of a group have \(members) to do by themselves")
        }
    }

    @Test func anEpochHasEverySampleOnceAndIsTheSameEveryTime() {
        let sampler = BatchSampler(sampleCount: 23, globalBatchSize: 4, seed: 9)
        let order = sampler.order(epoch: 2)
        #expect(order == sampler.order(epoch: 2) && order != sampler.order(epoch: 3))
        let seen = (0..<sampler.stepsPerEpoch).flatMap { sampler.batch(order, step: $0) }
        #expect(seen.sorted() == Array(0..<23))
    }
}
