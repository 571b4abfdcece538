import Shared

/// The tensors of a layer's experts, all of them named and checked, whichever a rank reads.
struct ExpertTensors {
    private let plan: WeightPlan
    private let hiddenSize: Int
    private let size: Int
    private let store: Store

    private enum Store {
        case separate(gate: [StoredTensor?], up: [StoredTensor?], down: [StoredTensor?])
        case fused(Fused)
    }

    private struct Fused {
        let gateUp: StoredTensor?
        let down: StoredTensor?
        /// Scales of gateUp and down, if they are packed.
        var scales: (gateUp: StoredTensor?, down: StoredTensor?)?
        var biases: (gateUp: StoredTensor?, down: StoredTensor?)?
        let isInterleaved: Bool
    }

    init(
        _ name: String, _ experts: DecoderDescription.Experts, hiddenSize: Int, _ plan: WeightPlan
    ) throws(WeightsError) {
        self.plan = plan
        self.hiddenSize = hiddenSize
        size = experts.intermediateSize
        switch experts.layout {
        case .separate: store = try Self.separate(name, experts, hiddenSize, plan)
        case .fused(let isInterleaved):
            var fused =
                plan.contains("\(name).gate_up_proj_blocks")
                ? try Self.packed(name, experts, hiddenSize, plan, isInterleaved)
                : Fused(
                    gateUp: try plan.tensor("\(name).gate_up_proj", [experts.count, hiddenSize, 2 * size]),
                    down: try plan.tensor("\(name).down_proj", [experts.count, size, hiddenSize]),
                    isInterleaved: isInterleaved)
            if experts.hasBias {
                fused.biases = (
                    try plan.tensor("\(name).gate_up_proj_bias", [experts.count, 2 * size]),
                    try plan.tensor("\(name).down_proj_bias", [experts.count, hiddenSize])
                )
            }
            store = .fused(fused)
        }
    }

    private static func separate(
        _ name: String, _ experts: DecoderDescription.Experts, _ hiddenSize: Int, _ plan: WeightPlan
    ) throws(WeightsError) -> Store {
        let tensors = { (part: String, shape: [Int]) throws(WeightsError) in
            try (0..<experts.count).map { number throws(WeightsError) in
                try plan.tensor("\(name).\(number).\(part).weight", shape)
            }
        }
        let size = experts.intermediateSize
        return .separate(
            gate: try tensors("gate_proj", [size, hiddenSize]), up: try tensors("up_proj", [size, hiddenSize]),
            down: try tensors("down_proj", [hiddenSize, size]))
    }

    private static func packed(
        _ name: String, _ experts: DecoderDescription.Experts, _ hiddenSize: Int, _ plan: WeightPlan,
        _ isInterleaved: Bool
    ) throws(WeightsError) -> Fused {
        let tensor = { (part: String, rows: Int, columns: Int) throws(WeightsError) -> (StoredTensor?, StoredTensor?) in
            let shape = [experts.count, rows, columns / MXFP4.groupSize]
            return (
                try plan.tensor("\(name).\(part)_blocks", shape + [MXFP4.groupSize / 2], isPacked: true),
                try plan.tensor("\(name).\(part)_scales", shape, isPacked: true)
            )
        }
        let gateUp = try tensor("gate_up_proj", 2 * experts.intermediateSize, hiddenSize)
        let down = try tensor("down_proj", hiddenSize, experts.intermediateSize)
        return Fused(
            gateUp: gateUp.0, down: down.0, scales: (gateUp.1, down.1), isInterleaved: isInterleaved)
    }

    /// Plans to read some intermediate features of an expert.
    func expert(_ number: Int, _ features: Range<Int>, gate: GatedActivation.Gate, addsBias: Bool) -> GatedMLP {
        let gateUp = plan.weight(rows: 2 * features.count, columns: hiddenSize)
        let down = plan.weight(rows: hiddenSize, columns: features.count)
        var (gateUpBias, downBias): (Matrix?, Matrix?)
        let (hidden, all) = (0..<hiddenSize, Array(0..<hiddenSize))
        switch store {
        case .separate(let gates, let ups, let downs):
            let (first, second) = (gateUp[rows: 0..<features.count], gateUp[rows: features.count..<gateUp.rows])
            plan.read(gates[number], outputs: Array(features), inputs: hidden, into: first)
            plan.read(ups[number], outputs: Array(features), inputs: hidden, into: second)
            plan.read(downs[number], outputs: all, inputs: features, into: down)
        case .fused(let fused):
            let outputs =
                fused.isInterleaved
                ? features.map { 2 * $0 } + features.map { 2 * $0 + 1 } : features + features.map { $0 + size }
            let layout = { (scales: StoredTensor?) -> WeightPlan.Layout in
                scales.map { .mxfp4(expert: number, scales: $0) } ?? .transposed(expert: number)
            }
            plan.read(
                fused.gateUp, layout(fused.scales.flatMap(\.gateUp)), outputs: outputs, inputs: hidden, into: gateUp)
            plan.read(fused.down, layout(fused.scales.flatMap(\.down)), outputs: all, inputs: features, into: down)
            if let biases = fused.biases {
                let bias = plan.vector(outputs.count)
                plan.read(biases.gateUp, row: number, features: outputs, into: bias)
                gateUpBias = bias
                if addsBias {
                    let bias = plan.vector(hiddenSize)
                    plan.read(biases.down, row: number, features: all, into: bias)
                    downBias = bias
                }
            }
        }
        return GatedMLP(
            gateUp: ColumnParallelLinear(weight: gateUp, bias: gateUpBias),
            down: RowParallelLinear(weight: down, bias: downBias), gate: gate)
    }
}
