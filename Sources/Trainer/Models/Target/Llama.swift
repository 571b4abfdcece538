import Shared

/// Llama 1 to 3, and what declares itself one: SmolLM2, for example.
enum Llama {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu", "swish")
        var description = try DecoderDescription(configuration)
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        description.hasMLPBias = configuration.mlpBias
        description.hasInterleavedRotation = try configuration.text.bool("rope_interleave", default: false)
        return description
    }
}
