import Shared

/// Qwen3.5 and those after it, the text part: three of four layers have the gated delta rule, the others attention whose
/// output is gated.
enum Qwen35 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        description.normOffset = try configuration.text.bool("norms_include_offset", default: false) ? 0 : 1
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        description.hasOutputGate = true
        let delta = DecoderDescription.Mixer.gatedDelta(try sizes(configuration))
        let interval = try configuration.size("full_attention_interval") ?? 4
        let mixers = try configuration.layerTypes(["linear_attention": delta, "full_attention": .attention]) { layer in
            (layer + 1).isMultiple(of: interval) ? .attention : delta
        }
        for layer in description.layers.indices {
            description.layers[layer].mixer = mixers[layer]
            description.layers[layer].headNorm = .weighted
        }
        return description
    }

    static func describeMoE(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try describe(configuration)
        let count = try configuration.expertCount()
        let experts = DecoderDescription.Experts(
            count: count, perToken: try configuration.expertsPerToken(of: count, default: 8),
            intermediateSize: try configuration.requiredSize("moe_intermediate_size"),
            weighting: .softmax(renormalized: true), routerName: "gate", layout: .separate,
            sharedIntermediateSize: try configuration.size("shared_expert_intermediate_size") ?? 512,
            hasSharedGate: true)
        for layer in description.layers.indices { description.layers[layer].feedForward = .experts(experts) }
        return description
    }

    private static func sizes(
        _ configuration: ModelConfiguration
    ) throws(JSONError) -> DecoderDescription.GatedDeltaSizes {
        let (keyHeads, valueHeads) = (
            try configuration.size("linear_num_key_heads") ?? 16, try configuration.size("linear_num_value_heads") ?? 32
        )
        guard valueHeads.isMultiple(of: keyHeads) else {
            throw JSONError(
                "key 'linear_num_key_heads' is \(keyHeads), should divide linear_num_value_heads, \(valueHeads)",
                at: configuration.path)
        }
        return DecoderDescription.GatedDeltaSizes(
            keyHeads: keyHeads, valueHeads: valueHeads,
            keyDim: try configuration.size("linear_key_head_dim") ?? 128,
            valueDim: try configuration.size("linear_value_head_dim") ?? 128,
            taps: try configuration.taps("linear_conv_kernel_dim", 4))
    }
}
