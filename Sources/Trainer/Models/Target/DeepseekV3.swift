import Shared

/// DeepSeek-V3 and GLM-4.7-Flash: multi-head latent attention, and experts in all layers but the first.
enum DeepseekV3 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        let dense = try configuration.text.int("first_k_dense_replace", default: 3)
        return try describe(
            configuration, hasExperts: configuration.layerIndices.map { $0 >= dense }, groups: (8, 4), 2.5)
    }

    /// `Glm4MoeLiteForCausalLM`.
    static func describeGlm4MoELite(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        let hasExperts = try configuration.layerTypes(["dense": false, "sparse": true], key: "mlp_layer_types") {
            $0 > 0
        }
        return try describe(configuration, hasExperts: hasExperts, groups: (1, 1), 1.8)
    }

    /// - Parameters:
    ///   - groups: What transformers takes where the configuration doesn't say in how many groups experts are, of how
    ///     many they are chosen, and what their weights are multiplied by.
    private static func describe(
        _ configuration: ModelConfiguration, hasExperts: [Bool], groups: (all: Int, chosen: Int), _ scale: Double
    ) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        let text = configuration.text
        var description = try DecoderDescription(configuration)
        let sizes = try sizes(configuration)
        // Every head has keys and values of its own.
        description.numKeyValueHeads = description.numAttentionHeads
        description.headDim = sizes.headDim
        description.hasInterleavedRotation = try text.bool("rope_interleave", default: true)
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        description.attentionScale =
            try scaling(configuration.rope) / Float(sizes.plainDim + sizes.turnedDim).squareRoot()
        description.rotations = [
            try RotaryScaling(configuration.rope, headDim: sizes.headDim, turned: sizes.turnedDim)
        ]
        description.spelling = ["shared_expert": "shared_experts"]
        // Layers for several tokens at once stand after the others.
        description.unusedTensors = (0..<8).map { "layers.\(configuration.numHiddenLayers + $0)" }
        let count = try configuration.requiredSize("n_routed_experts")
        let intermediate = try configuration.requiredSize("moe_intermediate_size")
        let shared = try configuration.size("n_shared_experts") ?? 1
        let experts = DecoderDescription.Experts(
            count: count, perToken: try configuration.expertsPerToken(of: count), intermediateSize: intermediate,
            weighting: try configuration.groupedSigmoid(
                experts: count, groups: groups.all, chosenGroups: groups.chosen, scale: scale),
            routerName: "gate", correctionName: "gate.e_score_correction_bias", layout: .separate,
            sharedIntermediateSize: intermediate * shared)
        for layer in description.layers.indices {
            description.layers[layer].mixer = .latentAttention(sizes)
            if hasExperts[layer] { description.layers[layer].feedForward = .experts(experts) }
        }
        return description
    }

    private static func sizes(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription.LatentSizes {
        let sizes = DecoderDescription.LatentSizes(
            queryRank: try configuration.size("q_lora_rank"),
            keyValueRank: try configuration.requiredSize("kv_lora_rank"),
            plainDim: try configuration.requiredSize("qk_nope_head_dim"),
            turnedDim: try configuration.requiredSize("qk_rope_head_dim"),
            valueDim: try configuration.requiredSize("v_head_dim"))
        guard sizes.headDim < 1 << 16 else {
            throw JSONError(
                "keys 'qk_nope_head_dim', 'qk_rope_head_dim' and 'v_head_dim' make heads of \(sizes.headDim), should be "
                    + "below \(1 << 16)", at: configuration.path)
        }
        guard sizes.turnedDim.isMultiple(of: 2) else {
            throw try configuration.text.required("qk_rope_head_dim").error("is \(sizes.turnedDim), should be even")
        }
        return sizes
    }

    /// YaRN's factor of scores: the square of 0.1 m log(factor) + 1.
    private static func scaling(_ rope: RopeConfiguration) throws(JSONError) -> Float {
        guard rope.type != "default", let m = rope.optional("mscale_all_dim"), m != 0 else { return 1 }
        let magnitude = RotaryScaling.magnitude(m, factor: try rope.parameter("factor"))
        return Float(magnitude * magnitude)
    }
}
