import Shared
import Synchronization
import Testing

@testable import Trainer

/// What is said of more threads than there are.
struct ScalingTests {
    @Test func threadsTakePiecesInOrderAsTheyBecomeFree() {
        for (pieces, threads, seconds) in [
            ([3.0, 1, 1, 1], 2, 3.0), ([1, 1, 1, 3], 2, 4), ([1, 2], 8, 2), ([], 4, 0), ([5], 1, 5), ([1, 2, 3], 1, 6),
        ] {
            #expect(ScalingModel.seconds(pieces, threads: threads) == seconds, "\(pieces)")
        }
    }

    @Test func aStepIsItsLoopsAndWhatIsBetweenThem() {
        let loops = [
            LoopRecorder.Loop(name: "a", phase: .draft, gap: 1, pieces: [4, 4, 4, 4]),
            LoopRecorder.Loop(name: "b", phase: .draft, gap: 2, pieces: [2]),
            LoopRecorder.Loop(name: "a", phase: .draft, gap: 0, pieces: [8, 0]),
        ]
        let free = ScalingModel.Costs(awake: 0, asleep: 0, each: 0, call: 0)
        for (threads, parallel) in [(1, 26.0), (2, 18), (4, 14), (64, 14)] {
            let model = ScalingModel(LoopRecorder.Step(threads: threads, loops: loops, rest: 0.5), free)
            #expect(model.serial == 3.5 && model.waking == 0 && model.work == 26)
            #expect(model.parallel == parallel && model.seconds == parallel + 3.5)
            #expect(model.between == ["draft": 3, "": 0.5])
            let a = model.loops.first { $0.name == "a" }
            #expect(a?.calls == 2 && a?.fewest == 2 && a?.pieces == 3 && a?.unevenness == 32.0 / 24)
        }
    }

    /// Each level of waking reaches eight times as many; threads that sleep take longer.
    @Test func wakingGrowsWithTheLevels() {
        let costs = ScalingModel.Costs(awake: 1, asleep: 100, each: 0, call: 0)
        let levels = [1: 0.0, 2: 1, 9: 1, 10: 2, 73: 2, 74: 3]
        for (threads, cost) in levels {
            #expect(costs.waking(threads, gap: 0) == cost && costs.waking(threads, gap: 1) == 100 * cost)
        }
    }

    /// A piece that was interrupted in one run of a step counts as in the other.
    @Test func eachPieceCountsAsInItsFastestRun() throws {
        func step(_ gap: Double, _ pieces: [Double], name: String = "a") -> LoopRecorder.Step {
            LoopRecorder.Step(
                threads: 2, loops: [LoopRecorder.Loop(name: name, phase: nil, gap: gap, pieces: pieces)], rest: gap)
        }
        #expect(step(3, [1, 9]).fastest(step(2, [4, 5])) == step(2, [1, 5]))
        #expect(step(3, [1, 9]).fastest(step(2, [4])) == nil && step(1, [1]).fastest(step(1, [1], name: "b")) == nil)
    }

    @Test func loopsAreCutForThreadsThatAreNotThere() {
        let recorder = LoopRecorder(threads: 2)
        let compute = Compute(recorder: recorder)
        #expect(compute.threads == 2)
        let step = recorder.simulate(threads: 64) {
            compute.ranges(1000) { _ in }
            // What is in a loop belongs to it.
            compute.forEach(7) { _, worker in compute.forEach(3) { _, _ in #expect(worker == 0) } }
            compute.ranges(10, atLeast: 100) { _ in }
        }
        #expect(step.threads == 64 && step.loops.map(\.pieces.count) == [64, 7, 1] && compute.threads == 2)
        #expect(step.loops.map(\.name).allSatisfy { $0.hasPrefix("ScalingTests.loopsAreCut") })
        let seen = Mutex(0)
        recorder.run(threads: 3) { compute.ranges(100) { _ in seen.withLock { $0 += 1 } } }
        #expect(seen.withLock { $0 } == 3)
    }

    /// A bucket's part is small where many ranks share it: sums and updates are over the pieces of several.
    @Test(arguments: [1, 2, 16, 64], [8, 64]) func noLoopOfTheOptimizerLeavesThreadsIdle(ranks: Int, threads: Int) {
        let recorder = LoopRecorder(threads: 1)
        let compute = Compute(recorder: recorder)
        let store = ParameterStore([.matrix([("w", 4096)], columns: 2048)], compute)
        let parts = Sharding(count: store.gradients.count, ranks: ranks).parts(of: ranks - 1)
        let adam = AdamW(parts, .init(), compute)
        let step = recorder.simulate(threads: threads) {
            store.zeroGradients()
            _ = GradientClipping.squares(store, parts)
            adam.update(store, learningRate: 1e-3, gradientFactor: 1) { _ in }
        }
        let pieces = parts.reduce(0) { $0 + $1.count } / Sharding.pieceSize
        #expect(step.loops.count >= 3)
        for loop in step.loops {
            // Four pieces are a thread's least of the norm.
            #expect(loop.pieces.count >= min(threads, max(1, pieces / 4)), "\(loop.name): \(loop.pieces.count)")
        }
    }

    @Test(
        arguments: [1, 2, 3, 8, 64, 128],
        [(1, 1), (17, 5), (16, 4096), (2048, 4096), (1000, 4096), (146, 128_256), (28_672, 4096), (2048, 33)])
    func tilesAreTheWholeOutput(threads: Int, shape: (m: Int, n: Int)) {
        let grid = TileGrid(shape.m, shape.n, threads: threads)
        var (covered, largest) = (0, 0)
        for index in 0..<grid.count {
            let tile = grid[index]
            covered += tile.rows.count * tile.columns.count
            largest = max(largest, tile.rows.count * tile.columns.count)
            // Neighbours in a row of tiles, and in a column of them, follow each other.
            if index % grid.rows > 0 { #expect(grid[index - 1].rows.upperBound == tile.rows.lowerBound) }
            if index >= grid.rows { #expect(grid[index - grid.rows].columns.upperBound == tile.columns.lowerBound) }
        }
        #expect(covered == shape.m * shape.n)
        if shape.m * shape.n >= 1 << 21 {
            #expect(grid.count >= threads && largest * grid.count <= 5 * covered / 4, "\(grid)")
        }
    }

    /// Few key/value heads and one sequence still make as many pieces as a socket has cores.
    @Test func attentionsBackwardPassHasPiecesForManyThreads() {
        for (length, heads) in [(2048, 4), (2048, 8), (4096, 2), (8192, 1)] {
            let (count, rows) = Attention.splits(longest: length, 1, heads)
            #expect(count * heads >= 64 && 3 * count * rows <= 2 * length, "\(length) \(heads)")
        }
        #expect(Attention.splits(longest: 100, 1, 4).count == 1 && Attention.splits(longest: 2048, 64, 4).count == 1)
        #expect(Attention.splits(longest: 0, 0, 4).count == 1)
    }
}
