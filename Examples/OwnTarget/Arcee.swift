import Shared

@testable import Trainer

/// Arcee's AFM, as an example of a family of one's own: Llama with feed-forward networks that have no gate.
///
/// In the sources it would be `Sources/Trainer/Models/Target/Arcee.swift`, without `@testable import`, and the line
/// `"ArceeForCausalLM": Arcee.describe,` in `TargetModelRegistry.swift`.
enum Arcee {
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        try configuration.expectActivation("relu2")
        var description = try DecoderDescription(configuration)
        description.hasQKVBias = configuration.attentionBias
        description.hasOutputBias = configuration.attentionBias
        description.hasMLPBias = configuration.mlpBias
        description.gate = .squaredReLU
        return description
    }
}
