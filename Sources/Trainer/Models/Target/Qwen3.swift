import Shared

/// Qwen3: Llama with a norm of each head of queries and keys.
enum Qwen3 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        for (layer, span) in try Qwen2.spans(configuration).enumerated() {
            description.layers[layer].span = span
            description.layers[layer].headNorm = .weighted
        }
        return description
    }
}
