import Shared

/// gpt-oss: sinks, a sliding window in every other layer, and experts with biases and a clamped gate.
enum GptOss {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        let text = configuration.text
        var description = try DecoderDescription(configuration)
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        description.hasSinks = true
        description.gate = .clamped(limit: Float(try text.double("swiglu_limit", default: 7)))
        let experts = DecoderDescription.Experts(
            count: try configuration.requiredSize("num_local_experts"),
            perToken: try text.int("num_experts_per_tok", default: text.int("experts_per_token", default: 4)),
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
