import Shared

/// ERNIE 4.5, dense: Llama whose rotation turns neighbouring pairs.
enum Ernie45 {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("silu")
        var description = try DecoderDescription(configuration)
        let hasBias = try configuration.text.bool("use_bias", default: false)
        description.hasQKVBias = hasBias
        description.hasOutputBias = hasBias
        description.hasMLPBias = hasBias
        description.hasInterleavedRotation = true
        return description
    }
}
