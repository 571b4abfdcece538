import Shared
import TestSupport
import Testing

@testable import Trainer

/// Each layer's outputs and gradients against torch's in float64.
struct LayerGoldenTests {
    private let workspace = Workspace()
    private let memory = FrozenWeights()

    private func golden(_ name: String) throws -> LayerGolden {
        LayerGolden(
            file: try SafetensorsFile(Fixtures.folder.appending(path: "layers/\(name).safetensors").path),
            workspace: workspace)
    }

    /// The weight of a target's layer.
    private func frozen(_ numbers: Matrix) -> FrozenWeight {
        let weight = memory.weight(rows: numbers.rows, columns: numbers.columns, .float32)
        for row in 0..<numbers.rows { for i in 0..<numbers.columns { weight.set(row, i, numbers[row, i]) } }
        return weight
    }

    private func like(_ matrix: Matrix) -> Matrix { workspace.zeros(rows: matrix.rows, columns: matrix.columns) }

    @Test func rmsNorm() throws {
        let g = try golden("rms_norm")
        let store = ParameterStore([.vector("w", count: 24)])
        store.parameters[0].weight.copy(from: try g.row("weight"))
        let norm = RMSNorm(weight: store.parameters[0], epsilon: try g.number("epsilon"))
        let (x, y, dx) = (try g.matrix("x"), try g.matrix("y"), try g.matrix("dx"))
        let (found, dFound) = (like(y), like(dx))
        norm.forward(x, into: found)
        expectClose(found.elements, y.elements, tolerance: 1e-6, "y")
        norm.backward(try g.matrix("dy"), x: x, into: dFound, in: workspace)
        expectClose(dFound.elements, dx.elements, tolerance: 1e-5, "dx")
        expectClose(norm.weight.gradient.elements, try g.row("dweight").elements, tolerance: 1e-5, "dweight")
        // A second pass adds to the gradients; one that accumulates adds to dx too.
        norm.backward(try g.matrix("dy"), x: x, into: dFound, accumulate: true, in: workspace)
        expectClose(dFound.elements, dx.elements.map { 2 * $0 }, tolerance: 1e-5, "dx twice")
        expectClose(
            norm.weight.gradient.elements, try g.row("dweight").elements.map { 2 * $0 }, tolerance: 1e-5,
            "dweight twice")
    }

    @Test func linear() throws {
        let g = try golden("linear")
        let store = ParameterStore([.matrix([("w", 16)], columns: 24)])
        store.parameters[0].weight.copy(from: try g.matrix("weight"))
        let layer = Linear(weight: store.parameters[0])
        let (x, dy) = (try g.matrix("x"), try g.matrix("dy"))
        let (y, dx) = (workspace.matrix(rows: 5, columns: 16), like(x))
        ColumnParallelLinear(weight: frozen(store.parameters[0].weight), bias: try g.row("bias")).forward(x, into: y)
        expectClose(y.elements, try g.matrix("y").elements, tolerance: 1e-6, "y")
        layer.backward(dy, x: x, into: dx)
        expectClose(dx.elements, try g.matrix("dx").elements, tolerance: 1e-6, "dx")
        expectClose(layer.weight.gradient.elements, try g.matrix("dweight").elements, tolerance: 1e-6, "dweight")
    }

    @Test(arguments: [1, 2, 3])
    func parallelLinearsEqualTheWholeOne(ranks: Int) throws {
        let g = try golden("linear")
        let (x, weight, bias) = (try g.matrix("x"), try g.matrix("weight"), try g.row("bias"))
        let expected = try g.matrix("y").elements
        let byRows = (0..<ranks).map { frozen(weight[rows: shard(16, rank: $0, of: ranks)]) }
        let byColumns = (0..<ranks).map { frozen(weight[columns: shard(24, rank: $0, of: ranks)]) }
        let results = try ThreadCommunicator.run(ranks) { communicator in
            let workspace = Workspace()
            let rows = shard(16, rank: communicator.rank, of: communicator.size)
            let columns = shard(24, rank: communicator.rank, of: communicator.size)
            let own = workspace.matrix(rows: 5, columns: rows.count)
            ColumnParallelLinear(weight: byRows[communicator.rank], bias: bias[columns: rows]).forward(x, into: own)
            let whole = workspace.matrix(rows: 5, columns: 16)
            let isFirst = communicator.rank == 0
            whole.fill(isFirst ? 1 : 0)
            RowParallelLinear(weight: byColumns[communicator.rank], bias: isFirst ? bias : nil)
                .addPart(x[columns: columns], to: whole)
            communicator.allReduceSum(whole)
            return (rows, own.elements, whole.elements)
        }
        for (rows, own, whole) in results {
            expectClose(
                own, (0..<5).flatMap { row in rows.map { expected[row * 16 + $0] } }, tolerance: 1e-6, "columns")
            expectClose(whole, expected.map { $0 + 1 }, tolerance: 1e-6, "rows")
        }
    }

    @Test(arguments: ["rope", "rope_llama3"])
    func rotaryEmbedding(name: String) throws {
        let g = try golden(name)
        let headDim = try g.integers("head_dim")[0]
        var frequencies = RotaryFrequencies.plain(theta: Double(try g.number("theta")), headDim: headDim)
        if name == "rope_llama3" {
            frequencies = RotaryFrequencies.llama3(
                frequencies, factor: Double(try g.number("factor")),
                lowFrequencyFactor: Double(try g.number("low_freq_factor")),
                highFrequencyFactor: Double(try g.number("high_freq_factor")),
                originalMaxPositions: Double(try g.integers("original_max_position_embeddings")[0]))
        }
        expectClose(
            frequencies.map { Float($0) }, try g.row("inverse_frequencies").elements, tolerance: 1e-6, "frequencies")
        let positions = try g.integers("positions").map { Int32($0) }
        let rotary = RotaryEmbedding(frequencies: frequencies, positions: Int(positions.max() ?? 0) + 1)
        let (x, dy) = (try g.matrix("x"), try g.matrix("dy"))
        rotary.apply(x, positionOf: positions)
        // The angle is a float32 product, as transformers has it, so far positions are off by its rounding.
        expectClose(x.elements, try g.matrix("y").elements, tolerance: 2e-4, "y")
        rotary.apply(dy, positionOf: positions, .backward)
        expectClose(dy.elements, try g.matrix("dx").elements, tolerance: 2e-4, "dx")
    }

    @Test func gatedMLP() throws {
        let g = try golden("gated_mlp")
        let store = ParameterStore([
            .matrix([("gate", 40), ("up", 40)], columns: 16), .matrix([("down", 16)], columns: 40),
        ])
        let (gateUp, down) = (Linear(weight: store.parameters[0]), Linear(weight: store.parameters[1]))
        gateUp.weight.weight[rows: 0..<40].copy(from: try g.matrix("gate"))
        gateUp.weight.weight[rows: 40..<80].copy(from: try g.matrix("up"))
        down.weight.weight.copy(from: try g.matrix("down"))
        let x = try g.matrix("x")
        let (both, a, y) = (
            workspace.matrix(rows: 6, columns: 80), workspace.matrix(rows: 6, columns: 40), like(x)
        )
        gateUp.forward(x, into: both)
        GatedActivation.forward(both, into: a)
        down.forward(a, into: y)
        expectClose(y.elements, try g.matrix("y").elements, tolerance: 1e-5, "y")
        let (da, dx) = (like(a), like(x))
        down.backward(try g.matrix("dy"), x: a, into: da)
        GatedActivation.backward(da, gateUp: both, into: both)
        gateUp.backward(both, x: x, into: dx)
        expectClose(dx.elements, try g.matrix("dx").elements, tolerance: 1e-5, "dx")
        let gradient = gateUp.weight.gradient
        expectClose(gradient[rows: 0..<40].elements, try g.matrix("dgate").elements, tolerance: 1e-5, "dgate")
        expectClose(gradient[rows: 40..<80].elements, try g.matrix("dup").elements, tolerance: 1e-5, "dup")
        expectClose(down.weight.gradient.elements, try g.matrix("ddown").elements, tolerance: 1e-5, "ddown")
    }

    @Test func softCrossEntropy() throws {
        let g = try golden("soft_cross_entropy")
        let (z, target, weights) = (try g.matrix("logits"), try g.matrix("target_logits"), try g.row("row_weights"))
        let expected = try g.row("row_loss").elements
        for row in 0..<z.rows {
            _ = DistillationLoss.softmax(target.row(row), target.columns)
            let result = DistillationLoss.forwardBackward(
                z.row(row), z.columns, .init(probabilities: target.row(row), coverage: 1), weight: weights[0, row])
            #expect(abs(result.loss - expected[row]) < 1e-5)
        }
        expectClose(target.elements, try g.matrix("p").elements, tolerance: 1e-6, "p")
        expectClose(z.elements, try g.matrix("dlogits").elements, tolerance: 1e-5, "dlogits")
    }

    @Test(arguments: ["adamw", "adamw_decay"])
    func adamW(name: String) throws {
        let g = try golden(name)
        let store = ParameterStore([.matrix([("w", 3)], columns: 17)])
        let parameter = store.parameters[0]
        parameter.weight.copy(from: try g.matrix("parameters_0"))
        let optimizer = AdamW(
            [0..<store.weights.count],
            .init(
                beta1: try g.number("beta1"), beta2: try g.number("beta2"), epsilon: try g.number("epsilon"),
                weightDecay: try g.number("weight_decay")), store.compute)
        for step in 0..<10 {
            parameter.gradient.copy(from: try g.matrix("gradients_\(step)"))
            let learningRate = try g.row("learning_rates")[0, step]
            optimizer.update(store, learningRate: learningRate, gradientFactor: 1) { _ in }
            expectClose(
                parameter.weight.elements, try g.matrix("parameters_\(step + 1)").elements, tolerance: 2e-6,
                "parameters \(step + 1)")
        }
    }

    @Test(arguments: ["clipping", "clipping_below"])
    func clipping(name: String) throws {
        let g = try golden(name)
        let parts = try (0..<3).map { try g.matrix("gradients_\($0)") }
        let flat = parts.flatMap(\.elements) + [Float](repeating: 0, count: 9)
        let store = ParameterStore([.vector("gradient", count: flat.count)])
        for (i, value) in flat.enumerated() { store.gradients[i] = value }
        let squares = GradientClipping.squares(store, [0..<flat.count])
        let norm = squares.reduce(0) { $0 + $1.sum }.squareRoot()
        expectClose([Float(norm)], [try g.number("norm")], tolerance: 1e-6, "norm")
        let factor = GradientClipping.factor(norm: norm, limit: try g.number("max_norm"))
        for (index, part) in parts.enumerated() {
            expectClose(
                part.elements.map { $0 * factor }, try g.matrix("clipped_\(index)").elements, tolerance: 2e-6,
                "clipped \(index)")
        }
    }
}

/// The tensors of one file of `fixtures/layers`.
struct LayerGolden {
    let file: SafetensorsFile
    let workspace: Workspace

    /// A matrix of its own each time.
    func matrix(_ name: String) throws -> Matrix { workspace.matrix(try file.golden(name)) }

    /// A vector as one row.
    func row(_ name: String) throws -> Matrix {
        let tensor = try file.golden(name)
        return workspace.matrix(GoldenTensor(shape: [1, tensor.values.count], values: tensor.values))
    }

    func number(_ name: String) throws -> Float { try file.golden(name).values[0] }
    func integers(_ name: String) throws -> [Int] { try file.tensor(name).integers() }
}
