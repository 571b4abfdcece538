import Shared

@testable import Trainer

/// SmolLM3, as an example of a family of one's own: Llama, some of whose layers don't rotate.
///
/// In the sources it would be `Sources/Trainer/Models/Target/SmolLM3.swift`, without `@testable import`, and the line
/// `"SmolLM3ForCausalLM": SmolLM3.describe,` in `TargetModelRegistry.swift`.
enum SmolLM3 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.refuse("use_sliding_window") { $0.value.bool == false }
        var description = try Llama.describe(configuration)
        // One for each layer: 1 for those that rotate.
        let rotates = try configuration.text.required("no_rope_layers")
        guard rotates.elements.count == description.layers.count else {
            throw rotates.error("has \(rotates.elements.count) layers, should have \(description.layers.count)")
        }
        for (layer, flag) in rotates.elements.enumerated() {
            if try flag.asInt() == 0 { description.layers[layer].rotation = nil }
        }
        return description
    }
}
