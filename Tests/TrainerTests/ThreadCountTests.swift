import Shared
import Testing

@testable import Trainer

/// Results are the same bit by bit for any number of threads, where that is promised.
struct ThreadCountTests {
    private static let counts = [1, 2, 3, 8]

    private func random(_ rows: Int, _ columns: Int, _ seed: UInt64, in workspace: Workspace) -> Matrix {
        var numbers = RandomNumbers(seed: seed)
        let matrix = workspace.matrix(rows: rows, columns: columns)
        numbers.fill(matrix)
        return matrix
    }

    /// Expects that `body` gives the same elements with every number of threads.
    private func expectEqual(
        _ precision: MatrixPrecision, hasFixedCuts: Bool = false, _ name: String,
        _ body: (Workspace) throws -> [Float]
    ) rethrows {
        let results = try Self.counts.map { threads in
            try body(Workspace(Compute(precision: precision, threads: threads, hasFixedCuts: hasFixedCuts)))
        }
        #expect(results[0].contains { $0 != 0 } && results[0].allSatisfy(\.isFinite), "\(name)")
        for (count, result) in zip(Self.counts, results) {
            #expect(result == results[0], "\(name) of \(count) threads")
        }
    }

    /// Three sequences of one, several and no whole blocks, rows that begin late, and two later steps.
    @Test func attentionsBackwardPass() { checkAttentionsBackwardPass(.float32) }
    @Test(.needsBFloat16) func attentionsBackwardPassInBFloat16() { checkAttentionsBackwardPass(.bfloat16) }

    private func checkAttentionsBackwardPass(_ precision: MatrixPrecision) {
        let attention = Attention(
            numHeads: 6, headDim: 10, keyValueHead: [0, 0, 0, 1, 1, 1], scale: 0.3, precision: precision)
        let lengths = [1000, 9, 300]
        let starts = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
        let rows = starts[3]
        let visible = lengths.flatMap { (0..<$0).map { Int32($0 + 1) } }
        let segments = (0..<3).map {
            Attention.Segment(queries: starts[$0]..<starts[$0 + 1], keys: starts[$0]..<starts[$0 + 1])
        }
        expectEqual(precision, "attention") { workspace in
            let (q, dO) = (random(rows, 60, 1, in: workspace), random(rows, 60, 2, in: workspace))
            let keyValues = (0..<3).map { step in
                Attention.KeyValue(
                    keys: random(rows, 20, UInt64(3 + step), in: workspace),
                    values: random(rows, 20, UInt64(7 + step), in: workspace))
            }
            let gradients = keyValues.map { _ in
                Attention.KeyValue(
                    keys: workspace.zeros(rows: rows, columns: 20), values: workspace.zeros(rows: rows, columns: 20))
            }
            let (o, dQ) = (workspace.matrix(rows: rows, columns: 60), workspace.matrix(rows: rows, columns: 60))
            let logSumExp = workspace.matrix(rows: 6, columns: rows)
            attention.forward(
                q, prefix: keyValues[0], visible: visible, own: Array(keyValues.dropFirst()), segments: segments,
                into: o, logSumExp: logSumExp, in: workspace)
            attention.backward(
                dO, q: q, o: o, logSumExp: logSumExp, prefix: keyValues[0], visible: visible,
                own: Array(keyValues.dropFirst()), segments: segments, into: dQ, dPrefix: gradients[0],
                dOwn: Array(gradients.dropFirst()), in: workspace)
            return ([o, dQ] + gradients.flatMap { [$0.keys, $0.values] }).flatMap(\.elements)
        }
    }

    @Test func normsAndTheirWeights() {
        expectEqual(.float32, "norm") { workspace in
            let store = ParameterStore([.vector("w", count: 70)], workspace.compute)
            for column in 0..<70 { store.parameters[0].weight[0, column] = Float(column) / 70 }
            let norm = RMSNorm(weight: store.parameters[0], epsilon: 1e-5)
            let (x, dy) = (random(333, 70, 1, in: workspace), random(333, 70, 2, in: workspace))
            let dx = workspace.matrix(rows: 333, columns: 70)
            norm.backward(dy, x: x, into: dx, in: workspace)
            return dx.elements + store.parameters[0].gradient.elements
        }
    }

    /// Some experts get no row, few rows or many.
    private static let weightings = [ExpertRouting.Weighting.softmax(renormalized: true), .sigmoidOfInput]

    @Test(arguments: weightings) func experts(weighting: ExpertRouting.Weighting) {
        checkExperts(.float32, weighting)
    }
    @Test(.needsBFloat16, arguments: weightings) func expertsInBFloat16(weighting: ExpertRouting.Weighting) {
        checkExperts(.bfloat16, weighting)
    }

    private func checkExperts(_ precision: MatrixPrecision, _ weighting: ExpertRouting.Weighting) {
        let (hidden, features, count) = (48, 600, 9)
        expectEqual(precision, "experts") { workspace in
            let memory = FrozenWeights(workspace.compute)
            var numbers = RandomNumbers(seed: 5)
            func weight(_ rows: Int, _ columns: Int) -> FrozenWeight {
                let weight = memory.weight(rows: rows, columns: columns, isCut: true)
                for row in 0..<rows { for column in 0..<columns { weight.set(row, column, numbers.uniform()) } }
                return weight
            }
            // The last experts' scores are seldom among the largest.
            let router = weight(count, hidden)
            for column in 0..<hidden { router.set(count - 1, column, 0) }
            let experts = Dictionary(
                uniqueKeysWithValues: (0..<count).map { number in
                    (
                        number,
                        GatedMLP(
                            gateUp: ColumnParallelLinear(weight: weight(2 * features, hidden), bias: nil),
                            down: RowParallelLinear(weight: weight(hidden, features), bias: nil), gate: .silu)
                    )
                })
            let mixture = MixtureOfExperts(
                routing: ExpertRouting(
                    router: ColumnParallelLinear(weight: router, bias: nil), expertsPerToken: 2, weighting: weighting),
                experts: experts, shared: nil)
            return [3, 700].flatMap { rows in
                let y = workspace.zeros(rows: rows, columns: hidden)
                mixture.addPart(random(rows, hidden, 8, in: workspace), to: y, in: workspace)
                return y.elements
            }
        }
    }

    @Test func productsWithFixedCuts() { checkProductsWithFixedCuts(.float32) }
    @Test(.needsBFloat16) func productsWithFixedCutsInBFloat16() { checkProductsWithFixedCuts(.bfloat16) }

    private func checkProductsWithFixedCuts(_ precision: MatrixPrecision) {
        for (m, n, k) in [(300, 700, 65), (1030, 97, 200), (64, 2100, 33)] {
            expectEqual(precision, hasFixedCuts: true, "\(m) x \(k) x \(n)") { workspace in
                let (a, b) = (random(m, k, 1, in: workspace), random(n, k, 2, in: workspace))
                let c = workspace.matrix(rows: m, columns: n)
                if precision == .bfloat16 {
                    c.compute.withRounded(a, b) {
                        multiply($0, transposed: false, $1, transposed: true, into: c, accumulate: false)
                    }
                } else {
                    multiply(a, transposed: b, into: c)
                }
                return c.elements
            }
        }
    }

    /// A whole step's gradients, as `--deterministic` promises them.
    @Test func gradientsWithFixedCuts() throws { try checkGradientsWithFixedCuts(.float32) }
    @Test(.needsBFloat16) func gradientsWithFixedCutsInBFloat16() throws { try checkGradientsWithFixedCuts(.bfloat16) }

    private func checkGradientsWithFixedCuts(_ precision: MatrixPrecision) throws {
        try expectEqual(precision, hasFixedCuts: true, "gradients") { workspace in
            let run = try GoldenRun("llama")
            let trainer = try run.trainer(AbsentRanks(), workspace.compute)
            for sample in run.samples.prefix(2) {
                let weights = LossWeights(sequences: [1 / Float(sample.inputIDs.count)])
                _ = trainer.run([[sample]], weights: weights, in: workspace)
            }
            return trainer.draft.parameters.parameters.flatMap(\.gradient.elements)
        }
    }

    @Test(arguments: [1, 2, 3, 8, 64, 128]) func updates(threads: Int) {
        let store = ParameterStore([.matrix([("w", 31)], columns: 5000)], Compute(threads: threads))
        let alone = ParameterStore([.matrix([("w", 31)], columns: 5000)], Compute())
        for store in [store, alone] {
            var numbers = RandomNumbers(seed: 3)
            numbers.fill(store.parameters[0].weight)
            numbers.fill(store.parameters[0].gradient)
            let optimizer = ShardedOptimizer(store, .init(weightDecay: 0.1), AbsentRanks(), bucketSize: 8192)
            for _ in 0..<3 {
                optimizer.update(
                    learningRate: 1e-2, gradientFactor: Float(1 / optimizer.gradientNorm()),
                    in: Workspace(store.compute))
            }
        }
        #expect(Array(store.weights) == Array(alone.weights))
    }
}
