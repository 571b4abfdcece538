import Shared

/// OLMo 2 and 3: norms after each part of a layer, and of queries and keys over all heads; in 3 most layers have a
/// sliding window, and a rotation of their own.
enum Olmo {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try Llama.describe(configuration)
        description.norms = .after
        for layer in description.layers.indices { description.layers[layer].headNorm = .joint }
        return description
    }

    static func describe3(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try describe(configuration)
        description.rotations.append(try RotaryScaling(configuration.slidingRope, headDim: configuration.headDim))
        let window = AttentionSpan.sliding(try configuration.size("sliding_window") ?? 4096)
        let isLocal = try configuration.layerTypes(["full_attention": false, "sliding_attention": true]) { layer in
            !(layer + 1).isMultiple(of: 4)
        }
        for layer in description.layers.indices where isLocal[layer] {
            description.layers[layer].span = window
            description.layers[layer].rotation = 1
        }
        return description
    }
}
