import Glibc
import Shared

/// Hunyuan's dense models: norms of each head after its rotation, whose base is stretched by a fixed factor.
enum HunYuan {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try Llama.describe(configuration)
        description.spelling = ["q_norm": "query_layernorm", "k_norm": "key_layernorm"]
        for layer in description.layers.indices { description.layers[layer].headNorm = .weightedAfterRotation }
        let (rope, size) = (configuration.rope, configuration.headDim)
        if rope.type == "dynamic", let alpha = rope.optional("alpha"), alpha != 0 {
            let stretch = pow(try rope.parameter("alpha"), Double(size) / Double(size - 2))
            let frequencies = RotaryFrequencies.plain(theta: rope.theta * stretch, headDim: size)
            description.rotations = [RotaryScaling(frequencies: frequencies, headDim: size)]
        }
        return description
    }
}
