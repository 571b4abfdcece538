import Shared

/// Gemma 2: norms around each part of a layer, a window in every other one, and scores and logits within caps.
enum Gemma2 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("gelu_pytorch_tanh")
        try configuration.refuse("use_bidirectional_attention") { $0.value.bool == false }
        var description = try DecoderDescription(configuration)
        description.embeddingScale = Float(configuration.hiddenSize).squareRoot()
        description.normOffset = try configuration.text.bool("norms_include_offset", default: false) ? 0 : 1
        description.norms = .around
        description.gate = .geluTanh
        let scalar = try configuration.positive("query_pre_attn_scalar", default: 256)
        description.attentionScale = 1 / Float(scalar).squareRoot()
        description.scoreCap = try configuration.cap("attn_logit_softcapping", default: 50)
        description.logitCap = try configuration.cap("final_logit_softcapping", default: 30)
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        let window = AttentionSpan.sliding(try configuration.size("sliding_window") ?? 4096)
        let spans = try configuration.layerTypes(["full_attention": .full, "sliding_attention": window]) { layer in
            layer.isMultiple(of: 2) ? window : .full
        }
        for layer in description.layers.indices { description.layers[layer].span = spans[layer] }
        return description
    }
}
