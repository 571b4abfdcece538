import Shared

/// Phi-3, 3.5 and 4: Llama with fused projections, a part of each head turned, and LongRoPE.
enum Phi3 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        description.hasFusedQKV = true
        description.hasFusedGateUp = true
        if let window = try configuration.size("sliding_window") {
            for layer in description.layers.indices { description.layers[layer].span = .sliding(window) }
        }
        return description
    }
}
