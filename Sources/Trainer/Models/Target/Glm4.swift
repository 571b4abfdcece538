import Shared

/// GLM-4: norms around each part of a layer, half of each head turned in neighbouring pairs, gate and up in one tensor.
enum Glm4 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        description.hasQKVBias = configuration.attentionBias
        description.hasInterleavedRotation = true
        description.hasFusedGateUp = true
        description.norms = DecoderDescription.NormNames(
            mixerInput: "input_layernorm", mixerOutput: "post_self_attn_layernorm",
            feedForwardInput: "post_attention_layernorm", feedForwardOutput: "post_mlp_layernorm")
        return description
    }
}
