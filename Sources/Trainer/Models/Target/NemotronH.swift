import Shared

/// Nemotron-H and Nemotron 3: each layer is one of Mamba-2, attention without rotation, a network without gate, or
/// experts.
enum NemotronH {
    private enum Block { case stateSpace, attention, dense, experts }

    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("relu2")
        for key in ["use_bias", "mamba_proj_bias", "attention_bias"] {
            try configuration.refuse(key) { $0.value.bool == false }
        }
        try configuration.refuse("moe_latent_size")
        try configuration.refuse("sliding_window")
        var description = try DecoderDescription(configuration)
        description.gate = .squaredReLU
        description.hasMLPBias = configuration.mlpBias
        description.spelling = [
            "embed_tokens": "embeddings", "final_norm": "norm_f", "self_attn": "mixer", "mamba": "mixer",
            "mlp": "mixer",
            "shared_expert": "shared_experts",
        ]
        description.norms = DecoderDescription.NormNames(mixerInput: "norm", feedForwardInput: "norm")
        let blocks = try blocks(configuration)
        let space = try sizes(configuration)
        for layer in description.layers.indices {
            description.layers[layer].rotation = nil
            description.layers[layer].feedForward = .none
            switch blocks[layer] {
            case .stateSpace: description.layers[layer].mixer = .stateSpace(space)
            case .attention: break
            case .dense:
                description.layers[layer].mixer = .none
                description.layers[layer].feedForward = .dense(configuration.intermediateSize)
            case .experts:
                description.layers[layer].mixer = .none
                description.layers[layer].feedForward = .experts(try experts(configuration))
            }
        }
        return description
    }

    /// `layers_block_type`, or a letter for each layer in `hybrid_override_pattern`.
    private static func blocks(_ configuration: ModelConfiguration) throws(JSONError) -> [Block] {
        let names: [String: Block] = [
            "linear_attention": .stateSpace, "mamba": .stateSpace, "full_attention": .attention,
            "attention": .attention, "mlp": .dense, "moe": .experts,
        ]
        let letters: [Character: Block] = ["M": .stateSpace, "*": .attention, "-": .dense, "E": .experts]
        let text = configuration.text
        let isNamed = text["layers_block_type"] != nil || text["layer_types"] != nil
        guard !isNamed, let node = text["hybrid_override_pattern"] else {
            return try configuration.layerTypes(names, key: "layers_block_type") { layer in
                [.stateSpace, .experts, .attention, .dense][layer % 4]
            }
        }
        let blocks = try node.asString().map { letter throws(JSONError) in
            guard let block = letters[letter] else {
                throw node.error("has a letter '\(letter)', supported are M, *, -, E")
            }
            return block
        }
        guard blocks.count == configuration.numHiddenLayers else {
            throw node.error("has \(blocks.count) layers, should have \(configuration.numHiddenLayers)")
        }
        return blocks
    }

    private static func experts(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription.Experts {
        let count = try configuration.requiredSize("n_routed_experts")
        return DecoderDescription.Experts(
            count: count, perToken: try configuration.expertsPerToken(of: count, default: 2),
            intermediateSize: try configuration.requiredSize("moe_intermediate_size"),
            weighting: try configuration.groupedSigmoid(experts: count, groups: 1, chosenGroups: 1, scale: 1),
            routerName: "gate", correctionName: "gate.e_score_correction_bias", layout: .separate,
            sharedIntermediateSize: try configuration.requiredSize("moe_shared_expert_intermediate_size"))
    }

    private static func sizes(
        _ configuration: ModelConfiguration
    ) throws(JSONError) -> DecoderDescription.StateSpaceSizes {
        try configuration.stateSpace(
            heads: try configuration.size("mamba_num_heads") ?? 128,
            headDim: try configuration.size("mamba_head_dim") ?? 64,
            groups: try configuration.size("n_groups") ?? 8, stateSize: try configuration.size("ssm_state_size") ?? 128,
            taps: try configuration.size("conv_kernel") ?? 4, bias: "use_conv_bias",
            leastDelta: try configuration.positive("time_step_min", default: 0.001))
    }
}
