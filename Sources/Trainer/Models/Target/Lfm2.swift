import Shared

/// LFM2: short convolutions, and attention in a few layers; the larger ones have experts in all layers but the first.
enum Lfm2 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        try configuration.refuse("conv_bias") { $0.value.bool == false }
        let text = configuration.text
        var description = try DecoderDescription(configuration)
        description.spelling = [
            "final_norm": "embedding_norm", "o_proj": "out_proj", "q_norm": "q_layernorm", "k_norm": "k_layernorm",
            "short_conv": "conv", "conv1d": "conv", "mlp": "feed_forward", "gate_proj": "w1", "up_proj": "w3",
            "down_proj": "w2",
        ]
        description.norms = DecoderDescription.NormNames(mixerInput: "operator_norm", feedForwardInput: "ffn_norm")
        let convolution = DecoderDescription.Mixer.shortConvolution(taps: try configuration.taps("conv_L_cache", 3))
        let attention = try text["full_attn_idxs"]?.elements.map { node throws(JSONError) in try node.asInt() }
        let mixers = try configuration.layerTypes(["conv": convolution, "full_attention": .attention]) { layer in
            attention?.contains(layer) ?? true ? .attention : convolution
        }
        for layer in description.layers.indices {
            description.layers[layer].mixer = mixers[layer]
            description.layers[layer].headNorm = .weighted
            description.layers[layer].feedForward = .dense(try intermediateSize(configuration))
        }
        return description
    }

    static func describeMoE(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try describe(configuration)
        let text = configuration.text
        let count = try configuration.expertCount()
        let isRenormalized = try text.bool("norm_topk_prob", default: true)
        let experts = DecoderDescription.Experts(
            count: count, perToken: try configuration.expertsPerToken(of: count, default: 4),
            intermediateSize: try configuration.requiredSize("moe_intermediate_size"),
            weighting: .sigmoid(
                .init(
                    epsilon: isRenormalized ? 1e-6 : nil,
                    scale: Float(try configuration.positive("routed_scaling_factor", default: 1)))),
            routerName: "gate",
            correctionName: try text.bool("use_expert_bias", default: true) ? "expert_bias" : nil, layout: .separate)
        let dense = try text.int("num_dense_layers", default: 2)
        for layer in description.layers.indices {
            description.layers[layer].feedForward =
                layer < dense ? .dense(configuration.intermediateSize) : .experts(experts)
        }
        return description
    }

    /// `intermediate_size`, or `block_ff_dim`; two thirds of it, rounded up, unless the configuration says otherwise.
    private static func intermediateSize(_ configuration: ModelConfiguration) throws(JSONError) -> Int {
        let size = try configuration.size("block_ff_dim") ?? configuration.intermediateSize
        guard configuration.modelType == "lfm2",
            try configuration.text.bool("block_auto_adjust_ff_dim", default: true)
        else { return size }
        let scaled = Double(2 * size / 3) * (try configuration.positive("block_ffn_dim_multiplier", default: 1))
        let multiple = try configuration.size("block_multiple_of") ?? 256
        guard scaled >= 1, scaled < Double(1 << 31) else {
            throw JSONError(
                "key 'block_ffn_dim_multiplier' makes an intermediate size of \(scaled)", at: configuration.path)
        }
        return (Int(scaled) + multiple - 1) / multiple * multiple
    }
}
