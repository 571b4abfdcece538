import Shared

/// Gemma 3, the text part: four norms a layer, scaled embeddings, GeGLU, and a global layer after some local ones,
/// with rotations of their own.
enum Gemma3 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("gelu_pytorch_tanh")
        for key in ["attn_logit_softcapping", "final_logit_softcapping"] { try configuration.refuse(key) }
        try configuration.refuse("use_bidirectional_attention") { $0.value.bool == false }
        let text = configuration.text
        var description = try DecoderDescription(configuration)
        description.embeddingScale = Float(configuration.hiddenSize).squareRoot()
        description.normOffset = try text.bool("norms_include_offset", default: false) ? 0 : 1
        description.norms = .around
        description.gate = .geluTanh
        let scalar = try configuration.positive("query_pre_attn_scalar", default: 256)
        description.attentionScale = 1 / Float(scalar).squareRoot()
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        description.rotations.append(try RotaryScaling(configuration.slidingRope, headDim: configuration.headDim))
        let window = try configuration.size("sliding_window") ?? 4096
        var pattern = 6
        for key in ["_sliding_window_pattern", "sliding_window_pattern"] {
            pattern = try configuration.size(key) ?? pattern
        }
        let interval = pattern
        let isLocal = try configuration.layerTypes(["full_attention": false, "sliding_attention": true]) { layer in
            !(layer + 1).isMultiple(of: interval)
        }
        for layer in description.layers.indices {
            description.layers[layer].headNorm = .weighted
            description.layers[layer].span = isLocal[layer] ? .sliding(window) : .full
            description.layers[layer].rotation = isLocal[layer] ? 1 : 0
        }
        return description
    }
}
