import Shared

/// Qwen2 and 2.5: Llama with biases of queries, keys and values.
enum Qwen2 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        description.hasQKVBias = true
        for (layer, span) in try spans(configuration).enumerated() { description.layers[layer].span = span }
        return description
    }

    /// With `use_sliding_window`, layers from `max_window_layers` on have the window, unless `layer_types` says which.
    static func spans(_ configuration: ModelConfiguration) throws(JSONError) -> [AttentionSpan] {
        let hasWindow = try configuration.text.bool("use_sliding_window", default: false)
        let window = try hasWindow ? configuration.size("sliding_window") : nil
        let sliding = window.map(AttentionSpan.sliding) ?? .full
        let firstWithWindow = try configuration.text.int("max_window_layers", default: 28)
        return try configuration.layerTypes(["full_attention": .full, "sliding_attention": sliding]) { layer in
            layer >= firstWithWindow ? sliding : .full
        }
    }
}
