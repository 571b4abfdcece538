import Shared

/// Mistral: Llama with a sliding window, in the first version, and without biases.
enum Mistral {
    /// What transformers takes if the configuration doesn't speak of it; `null` stands for no window.
    private static let defaultWindow = 4096

    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        try configuration.refuse("layer_types")
        var description = try DecoderDescription(configuration)
        let isLeftOut = configuration.text.value["sliding_window"] == nil
        if let window = try isLeftOut ? defaultWindow : configuration.size("sliding_window") {
            for layer in description.layers.indices { description.layers[layer].span = .sliding(window) }
        }
        return description
    }
}
