/// What differs between the families of decoders: sizes, rotation, biases and the tensors' names.
struct DecoderDescription {
    var hiddenSize: Int
    var intermediateSize: Int
    var numHiddenLayers: Int
    var numAttentionHeads: Int
    var numKeyValueHeads: Int
    var headDim: Int
    var vocabSize: Int
    var rmsNormEpsilon: Float
    /// The rotation's ω of each pair of a head, headDim / 2 of them.
    var rotaryFrequencies: [Double]
    var tiesWordEmbeddings: Bool
    /// Biases of q_proj, k_proj and v_proj; of o_proj; of gate_proj, up_proj and down_proj.
    var hasQKVBias = false
    var hasOutputBias = false
    var hasMLPBias = false
}
