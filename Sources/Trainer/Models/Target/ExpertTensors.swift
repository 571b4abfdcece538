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
        case fused(Fused)
        case stacked(gateUp: StoredTensor?, down: StoredTensor?)
        case stackedParts(Parts)
    }

    private struct Fused {
        let gateUp: StoredTensor?
        let down: StoredTensor?
        /// Scales of gateUp and down, if they are packed.
        var scales: (gateUp: StoredTensor?, down: StoredTensor?)?
        var biases: (gateUp: StoredTensor?, down: StoredTensor?)?
        let isInterleaved: Bool
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
            store = .stacked(
                gateUp: try plan.tensor("\(name).gate_up_proj", [count, 2 * size, hiddenSize]),
                down: try plan.tensor("\(name).down_proj", [count, hiddenSize, size]))
        case .stackedParts: store = .stackedParts(try Self.parts(name, experts, isGated, hiddenSize, plan))
        case .fused(let isInterleaved):
            var fused =
                plan.contains("\(name).gate_up_proj_blocks")
                ? try Self.packed(name, experts, hiddenSize, plan, isInterleaved)
                : Fused(
                    gateUp: try plan.tensor("\(name).gate_up_proj", [count, hiddenSize, 2 * size]),
                    down: try plan.tensor("\(name).down_proj", [count, size, hiddenSize]),
                    isInterleaved: isInterleaved)
            if experts.hasBias {
                fused.biases = (
                    try plan.tensor("\(name).gate_up_proj_bias", [count, 2 * size]),
                    try plan.tensor("\(name).down_proj_bias", [count, hiddenSize])
                )
            }
            store = .fused(fused)
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
        let gateUp = plan.weight(rows: (gate.isGated ? 2 : 1) * features.count, columns: hiddenSize)
        let down = plan.weight(rows: hiddenSize, columns: features.count)
        var (gateUpBias, downBias): (Matrix?, Matrix?)
        let (hidden, all) = (0..<hiddenSize, Array(0..<hiddenSize))
        switch store {
        case .separate(let gates, let ups, let downs):
            for (index, tensors) in [gates, ups].filter({ !$0.isEmpty }).enumerated() {
                let rows = index * features.count..<(index + 1) * features.count
                plan.read(tensors[number], outputs: Array(features), inputs: hidden, into: gateUp[rows: rows])
            }
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
                gateUpBias = bias(biases.gateUp, number, outputs)
                if addsBias { downBias = bias(biases.down, number, all) }
            }
        case .stacked(let both, let stackedDown):
            // Rows are counted over all experts.
            let outputs = (features + features.map { $0 + size }).map { number * 2 * size + $0 }
            plan.read(both, outputs: outputs, inputs: hidden, into: gateUp)
            plan.read(stackedDown, outputs: all.map { number * hiddenSize + $0 }, inputs: features, into: down)
        case .stackedParts(let parts):
            let bias = parts.biases.map { _ in plan.vector(gateUp.rows) }
            for (index, tensor) in parts.ups.enumerated() {
                let rows = index * features.count..<(index + 1) * features.count
                plan.read(
                    tensor, outputs: features.map { number * size + $0 }, inputs: hidden, into: gateUp[rows: rows])
                if let bias, let biases = parts.biases {
                    plan.read(biases.ups[index], row: number, features: Array(features), into: bias[columns: rows])
                }
            }
            plan.read(parts.down, outputs: all.map { number * hiddenSize + $0 }, inputs: features, into: down)
            gateUpBias = bias
            if let biases = parts.biases, addsBias { downBias = self.bias(biases.down, number, all) }
        }
        return GatedMLP(
            gateUp: ColumnParallelLinear(weight: gateUp, bias: gateUpBias),
            down: RowParallelLinear(weight: down, bias: downBias), gate: gate)
    }

    /// Plans to read some features of an expert's bias.
    private func bias(_ tensor: StoredTensor?, _ number: Int, _ features: [Int]) -> Matrix {
        let bias = plan.vector(features.count)
        plan.read(tensor, row: number, features: features, into: bias)
        return bias
    }
}
