import Shared

/// Seed-OSS: Llama with biases of queries, keys and values.
enum SeedOss {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        var description = try Llama.describe(configuration)
        description.hasOutputBias = try configuration.text.bool("attention_out_bias", default: false)
        return description
    }
}
