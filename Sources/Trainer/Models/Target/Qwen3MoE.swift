import Shared

/// Qwen3-MoE: Qwen3 with experts in most layers, or in all.
enum Qwen3MoE {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try Qwen3.describe(configuration)
        // Unlike Qwen3, the window is that of all layers.
        let hasWindow = try configuration.text.bool("use_sliding_window", default: false)
        let window = try hasWindow ? configuration.size("sliding_window") : nil
        let text = configuration.text
        let count = try configuration.expertCount()
        let experts = DecoderDescription.Experts(
            count: count, perToken: try configuration.expertsPerToken(of: count),
            intermediateSize: try configuration.requiredSize("moe_intermediate_size"),
            weighting: .softmax(renormalized: try text.bool("norm_topk_prob", default: false)),
            routerName: "gate", layout: .separate)
        let dense = try (text["mlp_only_layers"]?.elements ?? []).map { node throws(JSONError) in try node.asInt() }
        let step = try configuration.size("decoder_sparse_step") ?? 1
        for layer in description.layers.indices {
            description.layers[layer].span = window.map(AttentionSpan.sliding) ?? .full
            if !dense.contains(layer), (layer + 1).isMultiple(of: step) {
                description.layers[layer].feedForward = .experts(experts)
            }
        }
        return description
    }
}
