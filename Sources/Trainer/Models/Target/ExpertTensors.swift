import Shared

/// The tensors of a layer's experts, all of them named and checked, whichever a rank reads.
struct ExpertTensors {
    private let plan: WeightPlan
    private let hiddenSize: Int
    private let size: Int
    private let store: Store

    private enum Store {
        /// Of each expert; without gates `gate` is empty.
        case separate(gate: [StoredTensor?], up: [StoredTensor?], down: [StoredTensor?])
        case joined(Joined)
        case stackedParts(Parts)
    }

    /// Of all experts together, gate and up in one tensor.
    private struct Joined {
        let gateUp: StoredTensor?
        let down: StoredTensor?
        var biases: (gateUp: StoredTensor?, down: StoredTensor?)?
        /// Whether they are [experts, in, out], and not [experts, out, in].
        var isTransposed = false
        /// Whether gate and up alternate.
        var isInterleaved = false
    }

    private struct Parts {
        /// Gate, if there is one, and up.
        let ups: [StoredTensor?]
        let down: StoredTensor?
        var biases: (ups: [StoredTensor?], down: StoredTensor?)?
    }

    /// - Parameter isGated: Whether an expert has a gate.
    init(
        _ name: String, _ experts: DecoderDescription.Experts, isGated: Bool, hiddenSize: Int, _ plan: WeightPlan
    ) throws(WeightsError) {
        self.plan = plan
        self.hiddenSize = hiddenSize
        size = experts.intermediateSize
        let count = experts.count
        switch experts.layout {
        case .separate: store = try Self.separate(name, experts, isGated, hiddenSize, plan)
        case .stacked:
            store = .joined(
                Joined(
                    gateUp: try plan.tensor("\(name).gate_up_proj", [count, 2 * size, hiddenSize]),
                    down: try plan.tensor("\(name).down_proj", [count, hiddenSize, size])))
        case .stackedParts:
            store =
                isGated && plan.contains("\(name).gate_up_proj.weight")
                ? .joined(try Self.joinedParts(name, experts, hiddenSize, plan))
                : .stackedParts(try Self.parts(name, experts, isGated, hiddenSize, plan))
        case .fused(let isInterleaved):
            var joined =
                plan.contains("\(name).gate_up_proj_blocks")
                ? try Self.packed(name, experts, hiddenSize, plan)
                : Joined(
                    gateUp: try plan.tensor("\(name).gate_up_proj", [count, hiddenSize, 2 * size]),
                    down: try plan.tensor("\(name).down_proj", [count, size, hiddenSize]), isTransposed: true)
            joined.isInterleaved = isInterleaved
            if experts.hasBias {
                joined.biases = (
                    try plan.tensor("\(name).gate_up_proj_bias", [count, 2 * size]),
                    try plan.tensor("\(name).down_proj_bias", [count, hiddenSize])
                )
            }
            store = .joined(joined)
        }
    }

    private static func separate(
        _ name: String, _ experts: DecoderDescription.Experts, _ isGated: Bool, _ hiddenSize: Int, _ plan: WeightPlan
    ) throws(WeightsError) -> Store {
        let tensors = { (part: String, shape: [Int]) throws(WeightsError) in
            try (0..<experts.count).map { number throws(WeightsError) in
                try plan.tensor("\(name).\(number).\(part).weight", shape)
            }
        }
        let size = experts.intermediateSize
        return .separate(
            gate: isGated ? try tensors("gate_proj", [size, hiddenSize]) : [],
            up: try tensors("up_proj", [size, hiddenSize]), down: try tensors("down_proj", [hiddenSize, size]))
    }

    private static func parts(
        _ name: String, _ experts: DecoderDescription.Experts, _ isGated: Bool, _ hiddenSize: Int, _ plan: WeightPlan
    ) throws(WeightsError) -> Parts {
        let (count, size, names) = (
            experts.count, experts.intermediateSize, isGated ? ["gate_proj", "up_proj"] : ["up_proj"]
        )
        var parts = Parts(
            ups: try names.map { part throws(WeightsError) in
                try plan.tensor("\(name).\(part).weight", [count, size, hiddenSize])
            },
            down: try plan.tensor("\(name).down_proj.weight", [count, hiddenSize, size]))
        if experts.hasBias {
            parts.biases = (
                try names.map { part throws(WeightsError) in try plan.tensor("\(name).\(part).bias", [count, size]) },
                try plan.tensor("\(name).down_proj.bias", [count, hiddenSize])
            )
        }
        return parts
    }

    /// GGUF's, as llama.cpp's converter joins them if it is asked to.
    private static func joinedParts(
        _ name: String, _ experts: DecoderDescription.Experts, _ hiddenSize: Int, _ plan: WeightPlan
    ) throws(WeightsError) -> Joined {
        let (count, size) = (experts.count, experts.intermediateSize)
        var joined = Joined(
            gateUp: try plan.tensor("\(name).gate_up_proj.weight", [count, 2 * size, hiddenSize]),
            down: try plan.tensor("\(name).down_proj.weight", [count, hiddenSize, size]))
        if experts.hasBias {
            joined.biases = (
                try plan.tensor("\(name).gate_up_proj.bias", [count, 2 * size]),
                try plan.tensor("\(name).down_proj.bias", [count, hiddenSize])
            )
        }
        return joined
    }

    /// gpt-oss's.
    private static func packed(
        _ name: String, _ experts: DecoderDescription.Experts, _ hiddenSize: Int, _ plan: WeightPlan
    ) throws(WeightsError) -> Joined {
        Joined(
            gateUp: try plan.mxfp4("\(name).gate_up_proj", [experts.count, 2 * experts.intermediateSize, hiddenSize]),
            down: try plan.mxfp4("\(name).down_proj", [experts.count, hiddenSize, experts.intermediateSize]))
    }

    /// Plans to read some intermediate features of an expert.
    func expert(_ number: Int, _ features: Range<Int>, gate: GatedActivation.Gate, addsBias: Bool) -> GatedMLP {
        let (hidden, all) = (0..<hiddenSize, Array(0..<hiddenSize))
        let (gateUp, down): (FrozenWeight, FrozenWeight)
        var (gateUpBias, downBias): (Matrix?, Matrix?)
        switch store {
        case .separate(let gates, let ups, let downs):
            gateUp = plan.weight(
                [gates, ups].filter { !$0.isEmpty }.map {
                    WeightPlan.Rows(tensor: $0[number], outputs: Array(features))
                }, inputs: hidden, isCut: true)
            down = plan.weight([WeightPlan.Rows(tensor: downs[number], outputs: all)], inputs: features, isCut: true)
        case .joined(let joined):
            let outputs =
                joined.isInterleaved
                ? features.map { 2 * $0 } + features.map { 2 * $0 + 1 } : features + features.map { $0 + size }
            gateUp = plan.weight(
                [rows(joined.gateUp, joined, number, outputs, of: 2 * size)], inputs: hidden, isCut: true)
            down = plan.weight([rows(joined.down, joined, number, all, of: hiddenSize)], inputs: features, isCut: true)
            if let biases = joined.biases {
                gateUpBias = bias(biases.gateUp, number, outputs)
                if addsBias { downBias = bias(biases.down, number, all) }
            }
        case .stackedParts(let parts):
            gateUp = plan.weight(
                parts.ups.map { WeightPlan.Rows(tensor: $0, outputs: features.map { number * size + $0 }) },
                inputs: hidden, isCut: true)
            down = plan.weight(
                [WeightPlan.Rows(tensor: parts.down, outputs: all.map { number * hiddenSize + $0 })], inputs: features,
                isCut: true)
            if let biases = parts.biases {
                let bias = plan.vector(gateUp.rows)
                for (index, tensor) in biases.ups.enumerated() {
                    let rows = index * features.count..<(index + 1) * features.count
                    plan.read(tensor, row: number, features: Array(features), into: bias[columns: rows])
                }
                gateUpBias = bias
                if addsBias { downBias = self.bias(biases.down, number, all) }
            }
        }
        return GatedMLP(
            gateUp: ColumnParallelLinear(weight: gateUp, bias: gateUpBias),
            down: RowParallelLinear(weight: down, bias: downBias), gate: gate)
    }

    /// Some of an expert's `total` output features; where tensors aren't transposed, rows are counted over all experts.
    private func rows(
        _ tensor: StoredTensor?, _ joined: Joined, _ number: Int, _ outputs: [Int], of total: Int
    ) -> WeightPlan.Rows {
        joined.isTransposed
            ? WeightPlan.Rows(tensor: tensor, layout: .transposed(expert: number), outputs: outputs)
            : WeightPlan.Rows(tensor: tensor, outputs: outputs.map { number * total + $0 })
    }

    /// Plans to read some features of an expert's bias.
    private func bias(_ tensor: StoredTensor?, _ number: Int, _ features: [Int]) -> Matrix {
        let bias = plan.vector(features.count)
        plan.read(tensor, row: number, features: features, into: bias)
        return bias
    }
}
