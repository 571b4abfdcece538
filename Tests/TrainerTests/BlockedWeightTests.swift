import Shared
import Testing

@testable import Trainer

/// Products with blocked weights are those of the same numbers as rows, however they are cut.
@Suite(.needsBFloat16) struct BlockedWeightTests {
    private let one = Compute(precision: .bfloat16)
    private let three = Compute(precision: .bfloat16, threads: 3)
    private let fixed = Compute(precision: .bfloat16, threads: 2, hasFixedCuts: true)

    private func isBlocked(_ weight: FrozenWeight) -> Bool { if case .blocked = weight { true } else { false } }

    /// The same random numbers as a blocked weight and as one of rows.
    private func blockedWeights(
        _ memory: FrozenWeights, _ plainMemory: FrozenWeights, rows: Int, columns: Int
    ) throws -> (blocked: FrozenWeight, plain: FrozenWeight) {
        let both = weights(memory, plainMemory, rows: rows, columns: columns)
        try #require(isBlocked(both.blocked) && !isBlocked(both.plain))
        return both
    }

    /// The same random numbers as a weight that may be blocked and as one of rows.
    private func weights(
        _ memory: FrozenWeights, _ plainMemory: FrozenWeights, rows: Int, columns: Int, isCut: Bool = false,
        seed: Int = 0
    ) -> (blocked: FrozenWeight, plain: FrozenWeight) {
        let blocked = memory.weight(rows: rows, columns: columns, isCut: isCut)
        let plain = plainMemory.weight(rows: rows, columns: columns, .bfloat16)
        var random = SplitMix64(seed: UInt64(rows * columns + seed))
        for row in 0..<rows {
            for column in 0..<columns {
                let value = Float(random.uniform()) - 0.5
                blocked.set(row, column, value)
                plain.set(row, column, value)
            }
        }
        return (blocked, plain)
    }

    /// Some rows of a product, in the memory of another computation, and between other columns if asked for.
    private func product(
        _ weight: FrozenWeight, _ x: [Float], rows: Range<Int>, _ compute: Compute, accumulate: Bool, isApart: Bool
    ) -> [Float] {
        let workspace = Workspace(compute)
        let input = workspace.matrix(rows: rows.count, columns: weight.columns)
        for i in 0..<input.count { input.start[i] = x[rows.lowerBound * weight.columns + i] }
        let output = workspace.zeros(rows: rows.count, columns: weight.rows + (isApart ? 64 : 0))
        for row in 0..<rows.count { for i in 0..<weight.rows { output[row, i] = Float(i % 7) } }
        let part = output[columns: 0..<weight.rows]
        weight.apply(input, into: part, accumulate: accumulate)
        return (0..<rows.count).flatMap { row in (0..<weight.rows).map { part[row, $0] } }
    }

    /// Rows from one, over those that are computed one by one, to more than a kernel has; columns that fill blocks, and
    /// those that don't; weights that a cache holds, and larger ones.
    @Test(arguments: [(64, 32), (96, 64), (200, 576), (320, 130), (576, 1536), (4160, 1024)])
    func areThoseOfRows(shape: (rows: Int, columns: Int)) throws {
        let (memory, plainMemory) = (FrozenWeights(one), FrozenWeights(Compute()))
        let (blocked, plain) = try blockedWeights(memory, plainMemory, rows: shape.rows, columns: shape.columns)
        var random = SplitMix64(seed: 7)
        let x = (0..<700 * shape.columns).map { _ in Float(random.uniform()) - 0.5 }
        for rows in [1, 2, 3, 4, 7, 16, 17, 40, 65, 129, 300, 515, 700] where rows < 300 || shape.rows < 4160 {
            for accumulate in [false, true] {
                let wanted = product(plain, x, rows: 0..<rows, one, accumulate: accumulate, isApart: false)
                for (compute, isApart) in [(one, false), (one, true), (three, false), (fixed, false)] {
                    let found = product(
                        blocked, x, rows: 0..<rows, compute, accumulate: accumulate, isApart: isApart)
                    let largest = wanted.map(abs).max() ?? 0
                    #expect(
                        zip(found, wanted).allSatisfy { abs($0 - $1) <= 2e-5 * largest },
                        "\(rows) rows of \(shape), \(compute.threads) threads, accumulate \(accumulate), \(isApart)")
                }
            }
        }
        withExtendedLifetime((memory, plainMemory)) {}
    }

    /// As a verification of drafted tokens computes them, and decoding one at a time.
    @Test(arguments: [(64, 32), (200, 576), (576, 1536)])
    func ofFewRowsEachIsWhatItIsAlone(shape: (rows: Int, columns: Int)) throws {
        let (memory, plainMemory) = (FrozenWeights(one), FrozenWeights(Compute()))
        let (blocked, _) = try blockedWeights(memory, plainMemory, rows: shape.rows, columns: shape.columns)
        var random = SplitMix64(seed: 8)
        let x = (0..<16 * shape.columns).map { _ in Float(random.uniform()) - 0.5 }
        let alone = (0..<16).map {
            product(blocked, x, rows: $0..<$0 + 1, one, accumulate: true, isApart: false).map(\.bitPattern)
        }
        for count in 2...16 {
            for compute in [one, three] {
                let found = product(blocked, x, rows: 0..<count, compute, accumulate: true, isApart: false)
                #expect(found.map(\.bitPattern) == alone[..<count].flatMap { $0 }, "\(count) rows of \(shape)")
            }
        }
        withExtendedLifetime((memory, plainMemory)) {}
    }

    /// With fixed cuts the number of threads makes no difference.
    @Test(arguments: [17, 100, 515]) func withFixedCutsThreadsMakeNoDifference(rows: Int) throws {
        let (memory, plainMemory) = (FrozenWeights(one), FrozenWeights(Compute()))
        let (blocked, _) = try blockedWeights(memory, plainMemory, rows: 576, columns: 192)
        var random = SplitMix64(seed: 9)
        let x = (0..<rows * 192).map { _ in Float(random.uniform()) - 0.5 }
        let results = [1, 2, 5].map { threads in
            let compute = Compute(precision: .bfloat16, threads: threads, hasFixedCuts: true)
            return product(blocked, x, rows: 0..<rows, compute, accumulate: false, isApart: false).map(\.bitPattern)
        }
        #expect(results[0] == results[1] && results[0] == results[2])
        withExtendedLifetime((memory, plainMemory)) {}
    }

    /// `benchmark --scaling` runs steps on all cores, whatever `--num-threads` is.
    @Test func aRecorderMayTakeMoreThreads() throws {
        let (memory, plainMemory) = (FrozenWeights(one), FrozenWeights(Compute()))
        let (blocked, plain) = try blockedWeights(memory, plainMemory, rows: 576, columns: 192)
        var random = SplitMix64(seed: 10)
        let x = (0..<300 * 192).map { _ in Float(random.uniform()) - 0.5 }
        let wanted = product(plain, x, rows: 0..<300, one, accumulate: false, isApart: false)
        let recorder = LoopRecorder(threads: 1)
        let compute = Compute(precision: .bfloat16, threads: 1, recorder: recorder)
        let found = recorder.run(threads: CPUTopology.allowed.cores) {
            product(blocked, x, rows: 0..<300, compute, accumulate: false, isApart: false)
        }
        let largest = wanted.map(abs).max() ?? 0
        #expect(zip(found, wanted).allSatisfy { abs($0 - $1) <= 2e-5 * largest })
        withExtendedLifetime((memory, plainMemory)) {}
    }

    /// A mixture of experts, of which some have few rows and some more than a tile, and one none: both of an expert's
    /// weights are blocked, or one of them, as a rank's part of the features may end within a block.
    @Test(arguments: [1, 3], [(128, 64), (128, 50), (96, 64)])
    func ofExperts(threads: Int, size: (hidden: Int, features: Int)) throws {
        let (hidden, features, count) = (size.hidden, size.features, 5)
        let compute = Compute(precision: .bfloat16, threads: threads)
        let (memory, plainMemory) = (FrozenWeights(compute), FrozenWeights(Compute()))
        var mixtures: [[Int: GatedMLP]] = [[:], [:]]
        for number in 0..<count - 1 {
            let up = weights(memory, plainMemory, rows: 2 * features, columns: hidden, isCut: true, seed: number)
            let down = weights(memory, plainMemory, rows: hidden, columns: features, isCut: true, seed: number)
            #expect([up, down].map { isBlocked($0.blocked) } == [features == 64, hidden == 128])
            for (index, pair) in [(up.blocked, down.blocked), (up.plain, down.plain)].enumerated() {
                mixtures[index][number] = GatedMLP(
                    gateUp: ColumnParallelLinear(weight: pair.0, bias: nil),
                    down: RowParallelLinear(weight: pair.1, bias: nil), gate: .silu)
            }
        }
        expectAlike(mixtures, of: count, hidden: hidden, compute, plainMemory)
        withExtendedLifetime((memory, plainMemory)) {}
    }

    /// The same of experts that stay packed, whose weights are unpacked into blocks.
    @Test(arguments: [1, 3]) func ofPackedExperts(threads: Int) throws {
        let compute = Compute(precision: .bfloat16, threads: threads)
        let (memory, plainMemory) = (FrozenWeights(compute), FrozenWeights(Compute()))
        let tensor = try #require(try GGUFFile(GGUFGoldenTests.path("blocks")).tensors["Q8_0"])
        var mixtures: [[Int: GatedMLP]] = [[:], [:]]
        for number in 0..<4 {
            let pairs = try [(128, 512), (512, 64)].map { rows, columns in
                let format = try #require(tensor.format(columns: 0..<columns))
                let both = [
                    memory.packed([(rows, format)], columns: columns),
                    plainMemory.weight(rows: rows, columns: columns, .bfloat16),
                ]
                let order = (0..<rows).map { ($0 + number) % 3 }
                for weight in both { try weight.read(tensor, rows: order[...], columns: 0..<columns) }
                guard case .packed(let packed) = both[0] else { return both }
                try #require(compute.blockProducts?.support(packed) == true)
                return both
            }
            for index in mixtures.indices {
                mixtures[index][number] = GatedMLP(
                    gateUp: ColumnParallelLinear(weight: pairs[0][index], bias: nil),
                    down: RowParallelLinear(weight: pairs[1][index], bias: nil), gate: .silu)
            }
        }
        expectAlike(mixtures, of: 5, hidden: 512, compute, plainMemory)
        withExtendedLifetime((memory, plainMemory)) {}
    }

    /// Of 600 rows most go to the first expert, few to the third, and none to the fourth.
    private func expectAlike(
        _ mixtures: [[Int: GatedMLP]], of count: Int, hidden: Int, _ compute: Compute, _ memory: FrozenWeights
    ) {
        let workspace = Workspace(compute)
        var random = RandomNumbers(seed: 4)
        let rows = 600
        let x = workspace.matrix(rows: rows, columns: hidden)
        random.fill(x)
        let wanted = (0..<rows).map { $0 < 560 ? [0, 1] : $0 < 590 ? [1, 0] : [2, 0] }
        let results = mixtures.map { experts -> [Float] in
            workspace.scope {
                let y = workspace.zeros(rows: rows, columns: hidden)
                let mixture = MixtureOfExperts(
                    routing: routing(hidden: hidden, experts: count, memory), experts: experts, shared: nil)
                let routed = workspace.zeros(rows: rows, columns: hidden)
                for (row, chosen) in wanted.enumerated() {
                    for (rank, expert) in chosen.enumerated() { routed[row, expert] = Float(2 - rank) }
                }
                mixture.addPart(x, routedBy: routed, to: y, in: workspace)
                return y.elements
            }
        }
        let largest = results[1].map(abs).max() ?? 0
        #expect(largest > 0 && largest.isFinite)
        #expect(zip(results[0], results[1]).allSatisfy { abs($0 - $1) <= 1e-2 * largest })
    }

    /// A router that takes the first numbers of a row as its logits.
    private func routing(hidden: Int, experts: Int, _ memory: FrozenWeights) -> ExpertRouting {
        let router = memory.weight(rows: experts, columns: hidden, .float32)
        for expert in 0..<experts { router.set(expert, expert, 1) }
        return ExpertRouting(
            router: ColumnParallelLinear(weight: router, bias: nil), expertsPerToken: 2,
            weighting: .softmax(renormalized: true))
    }

    /// What is read from a file by sixteen rows at a time, or fewer, or columns of them, is what is set one by one.
    @Test func areReadAsTheyAre() throws {
        let (memory, plainMemory) = (FrozenWeights(one), FrozenWeights(Compute()))
        let tensor = try #require(try GGUFFile(GGUFGoldenTests.path("blocks")).tensors["Q8_0"])
        let blocked = memory.weight(rows: 150, columns: 512)
        let plain = plainMemory.weight(rows: 150, columns: 512, .bfloat16)
        let rows = (0..<150).map { $0 % 3 }
        for (first, last) in [(0, 64), (64, 70), (70, 150)] {
            for columns in [0..<512, 32..<101] {
                for weight in [blocked, plain] {
                    try weight[rows: first..<last][columns: columns].read(
                        tensor, rows: rows[first..<last], columns: columns)
                }
            }
        }
        var (found, wanted) = ([Float](repeating: 0, count: 512), [Float](repeating: 1, count: 512))
        for row in 0..<150 {
            blocked.copyRow(row, into: &found)
            plain.copyRow(row, into: &wanted)
            #expect(found == wanted, "row \(row)")
        }
        withExtendedLifetime((memory, plainMemory)) {}
    }
}
