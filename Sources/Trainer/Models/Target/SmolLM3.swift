import Shared

/// SmolLM3: Llama, some of whose layers don't rotate.
enum SmolLM3 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.refuse("use_sliding_window") { $0.value.bool == false }
        var description = try Llama.describe(configuration)
        let interval = try configuration.size("no_rope_layer_interval") ?? 4
        let rotates = try configuration.layerFlags("no_rope_layers") { !($0 + 1).isMultiple(of: interval) }
        for layer in description.layers.indices where !rotates[layer] { description.layers[layer].rotation = nil }
        return description
    }
}
