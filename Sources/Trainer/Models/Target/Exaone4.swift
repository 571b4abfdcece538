import Shared

/// EXAONE 4: norms after each part of a layer, and of each head; layers that see everything don't rotate, where others
/// have a window.
enum Exaone4 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try Llama.describe(configuration)
        description.norms = .after
        let isLeftOut = configuration.text.value["sliding_window"] == nil
        let window = try isLeftOut ? 4096 : configuration.size("sliding_window")
        let isLocal = try configuration.layerTypes(["full_attention": false, "sliding_attention": true]) { layer in
            window != nil && !(layer + 1).isMultiple(of: interval(configuration))
        }
        for layer in description.layers.indices {
            description.layers[layer].headNorm = .weighted
            guard let window else { continue }
            description.layers[layer].span = isLocal[layer] ? .sliding(window) : .full
            description.layers[layer].rotation = isLocal[layer] ? 0 : nil
        }
        return description
    }

    /// A number, or a pattern of letters such as "LLLG", whose length it is.
    private static func interval(_ configuration: ModelConfiguration) -> Int {
        guard let node = configuration.text["sliding_window_pattern"] else { return 4 }
        return max(1, node.value.int ?? node.value.string?.count ?? 4)
    }
}
