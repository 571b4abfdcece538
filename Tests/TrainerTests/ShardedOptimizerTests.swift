import Shared
import Testing

@testable import Trainer

/// Gradients, moments and weights are divided among ranks without a gap, and sums have a fixed order.
struct ShardedOptimizerTests {
    @Test(arguments: [1, 2, 3, 7, 16], [16, 4096, 4097, 100_000, 250_000])
    func partsOfAllRanksAreTheWholeBuffer(ranks: Int, count: Int) {
        let sharding = Sharding(count: count, ranks: ranks, bucketSize: 8 * Sharding.pieceSize)
        var place = 0
        for bucket in 0..<sharding.buckets {
            #expect(sharding.bucket(bucket).lowerBound == place)
            for rank in 0..<ranks {
                let part = sharding.part(ofBucket: bucket, rank: rank)
                #expect(part.lowerBound == place && (part.isEmpty || place.isMultiple(of: Sharding.pieceSize)))
                place = part.upperBound
            }
        }
        #expect(place == count)
    }

    /// A store of a number of weights, whose gradients are random.
    private static func store(_ count: Int, seed: Int) -> ParameterStore {
        let store = ParameterStore([
            .matrix([("first", 1)], columns: count / 2), .matrix([("second", 1)], columns: count - count / 2),
        ])
        var random = RandomNumbers(seed: UInt64(seed))
        for parameter in store.parameters {
            random.fill(parameter.weight)
            random.fill(parameter.gradient, scale: 1e3)
        }
        return store
    }

    @Test(arguments: [1, 2, 3, 5])
    func sumsAreAddedInTheOrderThatIsTold(ranks: Int) throws {
        let count = 50_000
        let gradients = (0..<ranks).map { Self.store(count, seed: $0 + 1).gradientValues }
        for order in [Array(0..<ranks), (0..<ranks).reversed(), Array((0..<ranks).dropFirst()), []] {
            let wanted = gradients[0].indices.map { i in
                order.dropFirst().reduce(order.first.map { gradients[$0][i] } ?? 0) { $0 + gradients[$1][i] }
            }
            _ = try ThreadCommunicator.run(ranks) { world in
                let store = Self.store(count, seed: world.rank + 1)
                let optimizer = ShardedOptimizer(store, .init(), world, bucketSize: 2 * Sharding.pieceSize)
                optimizer.reduction.beginStep()
                optimizer.reduction.begin(order: order)
                optimizer.reduction.areFinal(from: store.parameters[1])
                optimizer.reduction.finish()
                optimizer.reduction.endStep()
                for part in optimizer.sharding.parts(of: world.rank) {
                    #expect(store.gradientValues[part] == wanted[part])
                }
                let norm = optimizer.gradientNorm()
                let exact = wanted.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
                #expect(abs(norm - exact) <= 1e-12 * exact)
            }
        }
    }

    /// However late exchanges end and in whichever order, few are under way, and all of these are looked after.
    @Test(arguments: [[0], [1000], [40, 0, 3, 1], [7, 2]], WireType.allCases)
    func fewExchangesAreUnderWayAndAllAreLookedAfter(delays: [Int], wireType: WireType) throws {
        let ranks = 3
        let count = 60 * Sharding.pieceSize
        let order = Array(0..<ranks)
        let gradients = order.map { Self.store(count, seed: $0 + 1).gradientValues }
        let weights = try ThreadCommunicator.run(ranks) { world in
            let store = Self.store(count, seed: world.rank + 1)
            store.weights.update(repeating: 1)
            let counting = CountingRanks(world, delays: delays)
            let optimizer = ShardedOptimizer(
                store, .init(), counting, reduceType: wireType, bucketSize: 2 * Sharding.pieceSize)
            optimizer.reduction.beginStep()
            optimizer.reduction.begin(order: order)
            optimizer.reduction.areFinal(from: store.parameters[1])
            for _ in 0..<3 { optimizer.reduction.poll() }
            // Those that began later have been asked as well as the first.
            if delays == [1000] { #expect(counting.tests.prefix(8) == [3, 3, 3, 3, 3, 3, 3, 3]) }
            optimizer.reduction.finish()
            optimizer.reduction.endStep()
            let parts = optimizer.sharding.parts(of: world.rank)
            let sent = 2 * Sharding.pieceSize * optimizer.sharding.buckets - parts.reduce(0) { $0 + $1.count }
            #expect(counting.bytesSent == wireType.byteCount * sent)
            for part in parts {
                for i in part {
                    var sum: Float = 0
                    for rank in order {
                        let value = gradients[rank][i]
                        let isRounded = wireType == .bfloat16 && rank != world.rank
                        sum += isRounded ? BFloat16.float(BFloat16.bits(value)) : value
                    }
                    guard store.gradientValue(i) != sum else { continue }
                    Issue.record("element \(i): \(store.gradientValue(i)), not \(sum)")
                    break
                }
            }
            optimizer.update(learningRate: 1e-2, gradientFactor: 1, in: Workspace())
            #expect(counting.mostPending == PendingExchanges<Void>.most, "\(counting.mostPending) under way")
            #expect(counting.started == 2 * optimizer.sharding.buckets)
            return Array(store.weights)
        }
        for other in weights { #expect(other == weights[0]) }
    }

    @Test(arguments: [1, 2, 3])
    func roundsAddUp(ranks: Int) throws {
        _ = try ThreadCommunicator.run(ranks) { world in
            let store = Self.store(9000, seed: 4)
            let first = store.gradientValues
            let optimizer = ShardedOptimizer(
                store, .init(), world, hasRounds: true, bucketSize: Sharding.pieceSize)
            for _ in 0..<2 {
                optimizer.reduction.beginStep()
                for _ in 0..<3 {
                    _ = store.gradients.update(from: first)
                    optimizer.reduction.begin(order: [0])
                    optimizer.reduction.finish()
                }
                optimizer.reduction.endStep()
                for part in optimizer.sharding.parts(of: world.rank) {
                    #expect(Array(store.gradientValues[part]) == first[part].map { $0 + $0 + $0 })
                }
            }
        }
    }

    @Test(arguments: [2, 3, 4])
    func ranksHoldTheWeightsOfOneThatUpdatesAll(ranks: Int) throws {
        let alone = Self.store(40_000, seed: 9)
        let optimizer = ShardedOptimizer(alone, .init(weightDecay: 0.1), AbsentRanks())
        for _ in 0..<2 { optimizer.update(learningRate: 1e-2, gradientFactor: 0.5, in: Workspace()) }
        let together = try ThreadCommunicator.run(ranks) { world in
            let store = Self.store(40_000, seed: 9)
            let sharded = ShardedOptimizer(
                store, .init(weightDecay: 0.1), world, bucketSize: 4 * Sharding.pieceSize)
            for _ in 0..<2 { sharded.update(learningRate: 1e-2, gradientFactor: 0.5, in: Workspace()) }
            return store.weightValues
        }
        for weights in together { #expect(weights == alone.weightValues) }
    }
}

extension ParameterStore {
    var weightValues: [Float] { Array(weights) }
    var gradientValues: [Float] { Array(gradients) }
    fileprivate func gradientValue(_ index: Int) -> Float { gradients[index] }
}
