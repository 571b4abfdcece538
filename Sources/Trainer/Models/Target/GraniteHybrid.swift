import Shared

/// Granite 4's hybrids: Mamba-2 in most layers, attention in the others, and experts beside a shared network.
enum GraniteHybrid {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try Granite.describe(configuration)
        let text = configuration.text
        for key in ["mamba_proj_bias", "attention_bias"] { try configuration.refuse(key) { $0.value.bool == false } }
        let hasRotation = try text["position_embedding_type"]?.asString() == "rope"
        let space = DecoderDescription.Mixer.stateSpace(try sizes(configuration))
        let mixers = try configuration.layerTypes(
            ["linear_attention": space, "mamba": space, "full_attention": .attention, "attention": .attention]
        ) { _ in space }
        let shared = try configuration.requiredSize("shared_intermediate_size")
        let count = try text["num_local_experts"]?.asInt() == 0 ? 0 : configuration.size("num_local_experts") ?? 8
        description.hasFusedGateUp = true
        description.spelling =
            count == 0
            ? ["mlp": "shared_mlp"]
            : [
                "mlp.shared_expert": "shared_mlp", "mlp.experts.gate_up_proj": "block_sparse_moe.input_linear.weight",
                "mlp.experts.down_proj": "block_sparse_moe.output_linear.weight",
                "mlp.router": "block_sparse_moe.router.layer",
            ]
        description.spelling.add(["gate_up_proj": "input_linear", "down_proj": "output_linear"])
        for layer in description.layers.indices {
            description.layers[layer].mixer = mixers[layer]
            if !hasRotation { description.layers[layer].rotation = nil }
            description.layers[layer].feedForward =
                count == 0
                ? .dense(shared)
                : .experts(
                    DecoderDescription.Experts(
                        count: count, perToken: try configuration.expertsPerToken(of: count, default: 2),
                        intermediateSize: configuration.intermediateSize, weighting: .softmax(renormalized: true),
                        routerName: "router", layout: .stacked, sharedIntermediateSize: shared, hasFusedShared: true))
        }
        return description
    }

    private static func sizes(
        _ configuration: ModelConfiguration
    ) throws(JSONError) -> DecoderDescription.StateSpaceSizes {
        let heads = try configuration.size("mamba_n_heads") ?? 128
        let width = (try configuration.size("mamba_expand") ?? 2) * configuration.hiddenSize
        let isAutomatic = configuration.text["mamba_d_head"]?.value.string == "auto"
        let headDim = try isAutomatic ? nil : configuration.size("mamba_d_head")
        return try configuration.stateSpace(
            heads: heads, headDim: headDim ?? width / heads, groups: try configuration.size("mamba_n_groups") ?? 1,
            stateSize: try configuration.size("mamba_d_state") ?? 256,
            taps: try configuration.size("mamba_d_conv") ?? 4, bias: "mamba_conv_bias",
            leastDelta: try configuration.leastDelta())
    }
}
