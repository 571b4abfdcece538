import Shared

/// Ministral 3, and Mistral Small as it is saved since: Llama whose queries grow with their position, and YaRN.
enum Ministral3 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        let window = try configuration.size("sliding_window").map(AttentionSpan.sliding) ?? .full
        let rope = configuration.rope
        var temperature: QueryTemperature?
        if let beta = rope.optional("llama_4_scaling_beta"), beta != 0 {
            temperature = QueryTemperature(
                floorScale: Float(try rope.parameter("original_max_position_embeddings")), attentionScale: Float(beta),
                offset: 0)
        }
        for layer in description.layers.indices {
            description.layers[layer].span = window
            description.layers[layer].temperature = temperature
        }
        return description
    }

    /// A model of text and images, whose text part is a Ministral 3 or, in older ones, a Mistral.
    static func describeMixed(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        switch configuration.modelType {
        case "ministral3": try describe(configuration)
        case "mistral": try Mistral.describe(configuration)
        default:
            throw JSONError(
                "key 'text_config.model_type' is '\(configuration.modelType)', supported are ministral3, mistral",
                at: configuration.path)
        }
    }
}
