import Shared

/// Llama 1 to 3, and what declares itself one: SmolLM2, for example.
enum Llama {
    /// - Throws: `JSONError` that names the key, if the configuration asks for what isn't supported.
    static func describe(_ configuration: ModelConfiguration) throws(JSONError) -> DecoderDescription {
        guard ["silu", "swish"].contains(configuration.hiddenActivation) else {
            throw JSONError(
                "key 'hidden_act' is '\(configuration.hiddenActivation)', supported is silu", at: configuration.path)
        }
        return DecoderDescription(
            hiddenSize: configuration.hiddenSize, intermediateSize: configuration.intermediateSize,
            numHiddenLayers: configuration.numHiddenLayers, numAttentionHeads: configuration.numAttentionHeads,
            numKeyValueHeads: configuration.numKeyValueHeads, headDim: configuration.headDim,
            vocabSize: configuration.vocabSize, rmsNormEpsilon: Float(configuration.rmsNormEpsilon),
            rotaryFrequencies: try RotaryFrequencies.configured(configuration.rope, headDim: configuration.headDim),
            tiesWordEmbeddings: configuration.tieWordEmbeddings, hasQKVBias: configuration.attentionBias,
            hasOutputBias: configuration.attentionBias, hasMLPBias: configuration.mlpBias)
    }
}
