import Shared

/// Mixtral: Mistral with experts in all layers.
enum Mixtral {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        description.spelling = ["mlp": "block_sparse_moe", "gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"]
        let window = try configuration.size("sliding_window").map(AttentionSpan.sliding) ?? .full
        let count = try configuration.expertCount()
        let experts = DecoderDescription.Experts(
            count: count, perToken: try configuration.expertsPerToken(of: count, default: 2),
            intermediateSize: configuration.intermediateSize, weighting: .softmax(renormalized: true),
            routerName: "gate", layout: .separate)
        for layer in description.layers.indices {
            description.layers[layer].span = window
            description.layers[layer].feedForward = .experts(experts)
        }
        return description
    }
}
