import Shared

/// Gemma 4, the text part: Gemma 3's norms and windows, larger heads in layers that see everything, and in some sizes
/// values that are keys, layers that read others' keys and values, an embedding of each token for each layer, or experts
/// beside the dense network.
enum Gemma4 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("gelu_pytorch_tanh")
        // What sees images may look ahead; text doesn't.
        try configuration.refuse("use_bidirectional_attention") { $0.value.string == "vision" }
        let text = configuration.text
        _ = try text.required("rope_parameters")
        var description = try DecoderDescription(configuration)
        description.embeddingScale = Float(configuration.hiddenSize).squareRoot()
        description.norms = .around
        description.gate = .geluTanh
        description.attentionScale = 1
        description.logitCap = try configuration.cap("final_logit_softcapping", default: nil)
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        description.spelling = ["sparse.experts": "experts", "sparse.router": "router"]
        var isLocal = try configuration.layerTypes(["full_attention": false, "sliding_attention": true]) { layer in
            !(layer + 1).isMultiple(of: 6)
        }
        // transformers sees to it, whatever the key says.
        isLocal[isLocal.count - 1] = false
        let sizes = try isLocal.indices.map { layer throws(JSONError) in
            try LayerSizes(configuration, layer, isLocal: isLocal[layer])
        }
        let window = AttentionSpan.sliding(try configuration.size("sliding_window") ?? 512)
        let global = try LayerSizes.headDim(sizes, isLocal, configuration)
        description.rotations = [
            try RotaryScaling(configuration.rope, headDim: global),
            try RotaryScaling(configuration.slidingRope, headDim: configuration.headDim),
        ]
        let hasKeysAlone = try text.bool("attention_k_eq_v", default: false)
        for layer in description.layers.indices {
            description.layers[layer].span = isLocal[layer] ? window : .full
            description.layers[layer].rotation = isLocal[layer] ? 1 : 0
            description.layers[layer].headNorm = .weighted
            description.layers[layer].normalizesValues = true
            description.layers[layer].headDim = sizes[layer].headDim
            description.layers[layer].numKeyValueHeads = sizes[layer].numKeyValueHeads
            description.layers[layer].keyValues = hasKeysAlone && !isLocal[layer] ? .keysAlone : .projected
            description.layers[layer].hasOutputScale = true
        }
        try share(&description, configuration, isLocal)
        try addExperts(&description, configuration)
        let size = try text.int("hidden_size_per_layer_input", default: 256)
        if size > 0 {
            description.perLayerInputs = DecoderDescription.PerLayerInputs(
                size: size, vocabSize: try configuration.size("vocab_size_per_layer_input") ?? 262_144)
        }
        return description
    }

    /// The last layers read keys and values of the last one before them that sees as much.
    private static func share(
        _ description: inout DecoderDescription, _ configuration: ModelConfiguration, _ isLocal: [Bool]
    ) throws(JSONError) {
        let (text, count) = (configuration.text, isLocal.count)
        let shared = try text.int("num_kv_shared_layers", default: 0)
        guard 0..<count ~= shared else {
            throw try text.required("num_kv_shared_layers").error("is \(shared), should be 0 to \(count - 1)")
        }
        let first = count - shared
        let isWide = try text.bool("use_double_wide_mlp", default: false)
        for layer in first..<count {
            guard let source = (0..<first).last(where: { isLocal[$0] == isLocal[layer] }) else {
                throw try text.required("num_kv_shared_layers").error(
                    "is \(shared), which leaves no layer that layer \(layer) could read keys and values of")
            }
            description.layers[layer].keyValues = .layer(source)
            for part in ["k_proj", "v_proj", "k_norm", "v_norm"] {
                description.unusedTensors.append("layers.\(layer).self_attn.\(part)")
            }
            if isWide { description.layers[layer].feedForward = .dense(2 * configuration.intermediateSize) }
        }
    }

    private static func addExperts(
        _ description: inout DecoderDescription, _ configuration: ModelConfiguration
    ) throws(JSONError) {
        guard try configuration.text.bool("enable_moe_block", default: false) else { return }
        let count = try configuration.expertCount()
        let experts = DecoderDescription.Experts(
            count: count, perToken: try configuration.expertsPerToken(of: count, key: "top_k_experts"),
            intermediateSize: try configuration.requiredSize("moe_intermediate_size"),
            weighting: .softmax(renormalized: true), routerName: "router.proj", layout: .stacked, hasExpertScales: true)
        for layer in description.layers.indices {
            guard case .dense(let size) = description.layers[layer].feedForward else { continue }
            description.layers[layer].feedForward = .both(size, experts)
        }
    }
}

/// The sizes of a layer's heads: `per_layer_config`, or as published `global_head_dim` and `num_global_key_value_heads`.
private struct LayerSizes {
    let headDim: Int
    let numKeyValueHeads: Int

    init(_ configuration: ModelConfiguration, _ layer: Int, isLocal: Bool) throws(JSONError) {
        let text = configuration.text
        var (headDim, heads): (Int?, Int?)
        if let layers = text["per_layer_config"] {
            headDim = try layers["\(layer)"]?["head_dim"]?.asInt()
            heads = try layers["\(layer)"]?["num_key_value_heads"]?.asInt()
        } else if !isLocal {
            headDim = try configuration.size("global_head_dim") ?? 512
            if try text.bool("attention_k_eq_v", default: false) {
                heads = try configuration.size("num_global_key_value_heads")
            }
        }
        self.headDim = headDim ?? configuration.headDim
        numKeyValueHeads = heads ?? configuration.numKeyValueHeads
        guard 2..<1 << 16 ~= self.headDim, self.headDim.isMultiple(of: 2) else {
            throw JSONError(
                "key 'head_dim' of layer \(layer) is \(self.headDim), should be even, above 0 and below \(1 << 16)",
                at: configuration.path)
        }
        guard numKeyValueHeads > 0, configuration.numAttentionHeads.isMultiple(of: numKeyValueHeads) else {
            throw JSONError(
                "key 'num_key_value_heads' of layer \(layer) is \(numKeyValueHeads), should divide num_attention_heads, "
                    + "\(configuration.numAttentionHeads)", at: configuration.path)
        }
    }

    /// The one size of heads that each kind of layers has: rotations are made for them.
    static func headDim(
        _ sizes: [LayerSizes], _ isLocal: [Bool], _ configuration: ModelConfiguration
    ) throws(JSONError) -> Int {
        let global = sizes.indices.first { !isLocal[$0] }.map { sizes[$0].headDim } ?? configuration.headDim
        for layer in sizes.indices {
            let wanted = isLocal[layer] ? configuration.headDim : global
            guard sizes[layer].headDim == wanted else {
                throw JSONError(
                    "key 'per_layer_config.\(layer).head_dim' is \(sizes[layer].headDim), should be that of other layers "
                        + "of its kind, \(wanted)", at: configuration.path)
            }
        }
        return global
    }
}
