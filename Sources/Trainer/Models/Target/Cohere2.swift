import Shared

/// Command R7B and A: attention and feed-forward network of the same rows, norms that take the mean away, and no
/// rotation in layers that see everything.
enum Cohere2 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        description.norm = .layer
        description.norms = DecoderDescription.NormNames(mixerInput: "input_layernorm")
        description.isParallel = true
        description.hasInterleavedRotation = true
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        description.logitScale = Float(try configuration.positive("logit_scale", default: 0.0625))
        let window = AttentionSpan.sliding(try configuration.size("sliding_window") ?? 4096)
        let pattern = try configuration.size("sliding_window_pattern") ?? 4
        let isLocal = try configuration.layerTypes(["full_attention": false, "sliding_attention": true]) { layer in
            !(layer + 1).isMultiple(of: pattern)
        }
        for layer in description.layers.indices {
            description.layers[layer].span = isLocal[layer] ? window : .full
            description.layers[layer].rotation = isLocal[layer] ? 0 : nil
        }
        return description
    }
}
