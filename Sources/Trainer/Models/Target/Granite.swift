import Shared

/// Granite 3 and 4: Llama with multipliers of embeddings, of scores, of what layers add and of logits.
enum Granite {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try Llama.describe(configuration)
        try multiply(&description, configuration)
        return description
    }

    static func multiply(
        _ description: inout DecoderDescription, _ configuration: ModelConfiguration
    ) throws(JSONError) {
        description.embeddingScale = Float(try configuration.positive("embedding_multiplier", default: 1))
        description.residualScale = Float(try configuration.positive("residual_multiplier", default: 1))
        description.attentionScale = Float(try configuration.positive("attention_multiplier", default: 1))
        description.logitScale = 1 / Float(try configuration.positive("logits_scaling", default: 1))
    }
}
