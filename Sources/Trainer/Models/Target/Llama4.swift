import Shared

/// Llama 4, the text part: chunked attention, layers without rotation that see everything, and an expert for each
/// token beside a shared one.
enum Llama4 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        let text = configuration.text
        var description = try DecoderDescription(configuration)
        description.spelling = ["mlp": "feed_forward"]
        description.hasInterleavedRotation = true
        let count = try configuration.expertCount()
        let experts = DecoderDescription.Experts(
            count: count, perToken: try configuration.expertsPerToken(of: count, default: 1),
            intermediateSize: configuration.intermediateSize, weighting: .sigmoidOfInput, routerName: "router",
            layout: .fused(isInterleaved: false), sharedIntermediateSize: configuration.intermediateSize)
        let hasExperts = try layersWithExperts(configuration)
        let dense = try configuration.size("intermediate_size_mlp") ?? 16_384
        // It has 1 for layers that do rotate, or leaves it to all but every fourth.
        let interval = try configuration.size("no_rope_layer_interval") ?? 4
        let rotates = try configuration.layerFlags("no_rope_layers") { !($0 + 1).isMultiple(of: interval) }
        let chunk = AttentionSpan.chunked(try configuration.size("attention_chunk_size") ?? 8192)
        let spans = try configuration.layerTypes(["full_attention": .full, "chunked_attention": chunk]) { layer in
            rotates[layer] ? chunk : .full
        }
        let hasHeadNorm = try text.bool("use_qk_norm", default: true)
        let temperature = try QueryTemperature(configuration)
        for layer in description.layers.indices {
            description.layers[layer].span = spans[layer]
            description.layers[layer].rotation = rotates[layer] ? 0 : nil
            description.layers[layer].headNorm = rotates[layer] && hasHeadNorm ? .plain : .none
            description.layers[layer].temperature = rotates[layer] ? nil : temperature
            description.layers[layer].feedForward = hasExperts.contains(layer) ? .experts(experts) : .dense(dense)
        }
        return description
    }

    /// `moe_layers`, or every `interleave_moe_layer_step`-th.
    private static func layersWithExperts(_ configuration: ModelConfiguration) throws(JSONError) -> Set<Int> {
        if let node = configuration.text["moe_layers"] {
            return Set(try node.elements.map { element throws(JSONError) in try element.asInt() })
        }
        let step = try configuration.size("interleave_moe_layer_step") ?? 1
        return Set((0..<configuration.numHiddenLayers).filter { ($0 + 1).isMultiple(of: step) })
    }
}

extension QueryTemperature {
    /// What Llama 4's configuration says; nil if it doesn't tune temperature.
    fileprivate init?(_ configuration: ModelConfiguration) throws(JSONError) {
        let text = configuration.text
        if let node = text["attn_temperature_tuning"]?.value, node.bool == false || node.int == 0 { return nil }
        floorScale = Float(try configuration.positive("floor_scale", default: 8192))
        attentionScale = Float(try text.double("attn_scale", default: 0.1))
    }
}
