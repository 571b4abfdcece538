import Shared

/// A rank's part of feed-forward networks, and of experts.
extension DecoderShard {
    func feedForward(
        _ layer: String, _ kind: DecoderDescription.FeedForward
    ) throws(WeightsError) -> DecoderLayer.FeedForward {
        let name = "\(layer).mlp"
        switch kind {
        case .none: return .none
        case .dense(let size): return .dense(try dense(name, size))
        case .experts(let experts): return .experts(try mixture(name, experts))
        case .both(let size, let experts):
            return .both(
                DenseAndExperts(
                    mlp: try dense(name, size), mixture: try mixture("\(layer).sparse", experts),
                    outputNorm: try hiddenNorm("\(layer).post_feedforward_layernorm_1"),
                    expertInputNorm: try hiddenNorm("\(layer).pre_feedforward_layernorm_2"),
                    routerNorm: try routerNorm("\(layer).sparse.router.scale"),
                    expertOutputNorm: try hiddenNorm("\(layer).post_feedforward_layernorm_2")))
        }
    }

    private func dense(_ name: String, _ size: Int) throws(WeightsError) -> GatedMLP {
        try gatedMLP(name, size, part(size), hasFused: description.hasFusedGateUp)
    }

    private func gatedMLP(
        _ name: String, _ size: Int, _ features: Range<Int>, hasFused: Bool = false
    ) throws(WeightsError) -> GatedMLP {
        let up = [(name: "\(name).up_proj", outputs: Array(features), total: size)]
        let parts =
            if !description.gate.isGated {
                up
            } else if hasFused {
                [("\(name).gate_up_proj", Array(features) + features.map { $0 + size }, 2 * size)]
            } else {
                [("\(name).gate_proj", Array(features), size)] + up
            }
        return GatedMLP(
            gateUp: try columnParallel(parts, hasBias: description.hasMLPBias),
            down: try rowParallel("\(name).down_proj", features, of: size, hasBias: description.hasMLPBias),
            gate: description.gate)
    }

    private func mixture(
        _ name: String, _ experts: DecoderDescription.Experts
    ) throws(WeightsError) -> MixtureOfExperts {
        let router = "\(name).\(experts.routerName)"
        let isGated = description.gate.isGated
        let routerMap = try exactMap(router, experts.count, hasBias: experts.hasBias)
        let all = try ExpertTensors(
            "\(name).experts", experts, isGated: isGated, hiddenSize: description.hiddenSize, plan)
        let own = expertParallel ? part(experts.count) : 0..<experts.count
        let features = expertParallel ? 0..<experts.intermediateSize : part(experts.intermediateSize)
        let addsBias = expertParallel || communicator.rank == 0
        return MixtureOfExperts(
            routing: ExpertRouting(
                router: routerMap,
                expertsPerToken: experts.perToken, weighting: experts.weighting,
                correction: try experts.correctionName.map { part throws(WeightsError) in
                    try vector("\(name).\(part)", experts.count)
                },
                expertScales: experts.hasExpertScales
                    ? try vector("\(name).router.per_expert_scale", experts.count) : nil),
            experts: Dictionary(
                uniqueKeysWithValues: own.map { number in
                    (number, all.expert(number, features, gate: description.gate, addsBias: addsBias))
                }),
            shared: try experts.sharedIntermediateSize.map { size throws(WeightsError) in
                try gatedMLP("\(name).shared_expert", size, part(size), hasFused: experts.hasFusedShared)
            },
            sharedGate: experts.hasSharedGate ? try exactMap("\(name).shared_expert_gate", 1) : nil)
    }

    /// Gemma 4's: its weights are those of the checkpoint over the square root of the hidden size.
    private func routerNorm(_ name: String) throws(WeightsError) -> FrozenNorm {
        let weight = try vector(name, description.hiddenSize)
        plan.multiply(weight, by: 1 / Float(description.hiddenSize).squareRoot())
        return .rms(RMSNorm(weight: Parameter(frozen: weight), epsilon: description.normEpsilon))
    }
}
