import Shared

/// gpt-oss: sinks, a sliding window in every other layer, and experts with biases and a clamped gate.
enum GptOss {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        description.hasSinks = true
        description.gate = .clamped(limit: Float(try configuration.positive("swiglu_limit", default: 7)))
        let count = try configuration.expertCount()
        let experts = DecoderDescription.Experts(
            count: count, perToken: try configuration.expertsPerToken(of: count, default: 4),
            intermediateSize: configuration.intermediateSize, weighting: .softmax(renormalized: true),
            routerName: "router", hasBias: true, layout: .fused(isInterleaved: true))
        let window = AttentionSpan.sliding(try configuration.size("sliding_window") ?? 128)
        let spans = try configuration.layerTypes(["full_attention": .full, "sliding_attention": window]) { layer in
            layer.isMultiple(of: 2) ? window : .full
        }
        for (layer, span) in spans.enumerated() {
            description.layers[layer].span = span
            description.layers[layer].feedForward = .experts(experts)
        }
        return description
    }
}
