import Shared

/// A rank's part of feed-forward networks, and of experts.
extension DecoderShard {
    func feedForward(
        _ name: String, _ kind: DecoderDescription.FeedForward
    ) throws(WeightsError) -> DecoderLayer.FeedForward {
        switch kind {
        case .dense(let size): .dense(try gatedMLP(name, size, part(size), hasFused: description.hasFusedProjections))
        case .experts(let experts): .experts(try mixture(name, experts))
        }
    }

    private func gatedMLP(
        _ name: String, _ size: Int, _ features: Range<Int>, hasFused: Bool = false
    ) throws(WeightsError) -> GatedMLP {
        let parts =
            hasFused
            ? [("\(name).gate_up_proj", Array(features) + features.map { $0 + size }, 2 * size)]
            : [("\(name).gate_proj", Array(features), size), ("\(name).up_proj", Array(features), size)]
        return GatedMLP(
            gateUp: try columnParallel(parts, hasBias: description.hasMLPBias),
            down: try rowParallel("\(name).down_proj", features, of: size, hasBias: description.hasMLPBias),
            gate: description.gate)
    }

    private func mixture(_ name: String, _ experts: DecoderDescription.Experts) throws(WeightsError) -> MixtureOfExperts
    {
        let router = "\(name).\(experts.routerName)"
        let h = description.hiddenSize
        // The router stays float32, as which expert is chosen hangs on its last digits.
        let weight = plan.memory.weight(rows: experts.count, columns: h, .float32)
        plan.read(
            try plan.tensor("\(router).weight", [experts.count, h]), outputs: Array(0..<experts.count),
            inputs: 0..<h, into: weight)
        let all = try ExpertTensors("\(name).experts", experts, hiddenSize: h, plan)
        let own = expertParallel ? part(experts.count) : 0..<experts.count
        let features = expertParallel ? 0..<experts.intermediateSize : part(experts.intermediateSize)
        let addsBias = expertParallel || communicator.rank == 0
        return MixtureOfExperts(
            router: ColumnParallelLinear(
                weight: weight, bias: experts.hasBias ? try vector("\(router).bias", experts.count) : nil),
            expertsPerToken: experts.perToken, weighting: experts.weighting,
            experts: Dictionary(
                uniqueKeysWithValues: own.map { number in
                    (number, all.expert(number, features, gate: description.gate, addsBias: addsBias))
                }),
            shared: try experts.sharedIntermediateSize.map { size throws(WeightsError) in
                try gatedMLP("\(name).shared_expert", size, part(size))
            })
    }
}
