/// What transformers assumes for keys that a `config.json` leaves out, where families differ.
struct ModelDefaults {
    var numAttentionHeads: Int?
    var numKeyValueHeads: Int?
    var vocabSize: Int?
    /// hidden_size / num_attention_heads if nil.
    var headDim: Int?
    var maxPositionEmbeddings = 2048
    var rmsNormEpsilon = 1e-6
    var ropeTheta = 10_000.0
    /// That of layers with a sliding window; nil in families that turn all layers alike.
    var localRopeTheta: Double?
    /// Whether `partial_rotary_factor` says something.
    var turnsPartOfHead = false
    var hiddenActivation = "silu"
    var attentionBias = false
    var tieWordEmbeddings = false

    static func of(_ modelType: String) -> ModelDefaults { families[modelType] ?? ModelDefaults() }

    /// The defaults of transformers 4.57's configuration classes, by `model_type`.
    private static let families: [String: ModelDefaults] = [
        "mistral": ModelDefaults(maxPositionEmbeddings: 131_072),
        "qwen2": ModelDefaults(maxPositionEmbeddings: 32_768),
        "qwen3": ModelDefaults(headDim: 128, maxPositionEmbeddings: 32_768),
        "qwen3_moe": ModelDefaults(maxPositionEmbeddings: 32_768),
        "phi3": ModelDefaults(maxPositionEmbeddings: 4096, rmsNormEpsilon: 1e-5, turnsPartOfHead: true),
        "gemma3_text": ModelDefaults(
            numAttentionHeads: 8, numKeyValueHeads: 4, vocabSize: 262_208, headDim: 256,
            maxPositionEmbeddings: 131_072, ropeTheta: 1_000_000, localRopeTheta: 10_000,
            hiddenActivation: "gelu_pytorch_tanh",
            tieWordEmbeddings: true),
        "gpt_oss": ModelDefaults(
            headDim: 64, maxPositionEmbeddings: 131_072, rmsNormEpsilon: 1e-5,
            ropeTheta: 150_000, attentionBias: true),
        "llama4_text": ModelDefaults(
            headDim: 128, maxPositionEmbeddings: 131_072, rmsNormEpsilon: 1e-5, ropeTheta: 500_000),
    ]
}
