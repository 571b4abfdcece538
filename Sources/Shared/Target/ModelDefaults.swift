/// What transformers assumes for keys that a `config.json` leaves out, where families differ.
struct ModelDefaults {
    var numAttentionHeads: Int?
    var numKeyValueHeads: Int?
    var vocabSize: Int?
    /// hidden_size / num_attention_heads if nil.
    var headDim: Int?
    var maxPositionEmbeddings = 2048
    var normEpsilon = 1e-6
    /// The key of the norms' epsilon.
    var normEpsilonKey = "rms_norm_eps"
    var ropeTheta = 10_000.0
    /// Whether layers with a sliding window may have a rotation of their own.
    var hasRotationsByKind = false
    /// The base of that rotation; nil for that of the other layers.
    var localRopeTheta: Double?
    /// The share of a head that turns where `partial_rotary_factor` is left out; nil in families that turn whole
    /// heads, whatever the key says.
    var partialRotaryFactor: Double?
    var hiddenActivation = "silu"
    var attentionBias = false
    var tieWordEmbeddings = false

    static func of(_ modelType: String) -> ModelDefaults { families[modelType] ?? ModelDefaults() }

    /// The defaults of transformers' configuration classes, by `model_type`.
    private static let families: [String: ModelDefaults] = [
        "cohere2": ModelDefaults(
            maxPositionEmbeddings: 8192, normEpsilon: 1e-5, normEpsilonKey: "layer_norm_eps", tieWordEmbeddings: true),
        "deepseek_v3": ModelDefaults(maxPositionEmbeddings: 4096),
        "ernie4_5": ModelDefaults(
            numKeyValueHeads: 2, headDim: 128, maxPositionEmbeddings: 131_072, normEpsilon: 1e-5, ropeTheta: 500_000,
            tieWordEmbeddings: true),
        "exaone4": ModelDefaults(normEpsilon: 1e-5),
        "gemma2": ModelDefaults(
            numAttentionHeads: 8, numKeyValueHeads: 4, vocabSize: 256_000, headDim: 256, maxPositionEmbeddings: 8192,
            hiddenActivation: "gelu_pytorch_tanh", tieWordEmbeddings: true),
        "gemma3_text": ModelDefaults(
            numAttentionHeads: 8, numKeyValueHeads: 4, vocabSize: 262_208, headDim: 256,
            maxPositionEmbeddings: 131_072, ropeTheta: 1_000_000, hasRotationsByKind: true, localRopeTheta: 10_000,
            hiddenActivation: "gelu_pytorch_tanh", tieWordEmbeddings: true),
        "gemma4_text": ModelDefaults(
            numAttentionHeads: 8, numKeyValueHeads: 4, vocabSize: 262_144, headDim: 256,
            maxPositionEmbeddings: 131_072, ropeTheta: 1_000_000, hasRotationsByKind: true, localRopeTheta: 10_000,
            partialRotaryFactor: 1, hiddenActivation: "gelu_pytorch_tanh", tieWordEmbeddings: true),
        "glm4": ModelDefaults(
            headDim: 128, maxPositionEmbeddings: 131_072, normEpsilon: 1.5625e-7, partialRotaryFactor: 0.5,
            attentionBias: true),
        "glm4_moe_lite": ModelDefaults(maxPositionEmbeddings: 202_752, normEpsilon: 1e-5),
        "gpt_oss": ModelDefaults(
            headDim: 64, maxPositionEmbeddings: 131_072, normEpsilon: 1e-5, ropeTheta: 150_000, attentionBias: true),
        "hunyuan_v1_dense": ModelDefaults(normEpsilon: 1e-5),
        "lfm2": ModelDefaults(
            numAttentionHeads: 32, numKeyValueHeads: 8, maxPositionEmbeddings: 128_000, normEpsilon: 1e-5,
            normEpsilonKey: "norm_eps", ropeTheta: 1_000_000, tieWordEmbeddings: true),
        "lfm2_moe": ModelDefaults(
            numAttentionHeads: 32, numKeyValueHeads: 8, maxPositionEmbeddings: 128_000, normEpsilon: 1e-5,
            normEpsilonKey: "norm_eps", ropeTheta: 1_000_000, tieWordEmbeddings: true),
        "llama4_text": ModelDefaults(
            headDim: 128, maxPositionEmbeddings: 131_072, normEpsilon: 1e-5, ropeTheta: 500_000),
        "ministral3": ModelDefaults(
            numKeyValueHeads: 8, headDim: 128, maxPositionEmbeddings: 262_144, normEpsilon: 1e-5,
            ropeTheta: 1_000_000),
        "mistral": ModelDefaults(maxPositionEmbeddings: 131_072),
        "mixtral": ModelDefaults(
            numKeyValueHeads: 8, maxPositionEmbeddings: 131_072, normEpsilon: 1e-5, ropeTheta: 1_000_000),
        "nemotron_h": ModelDefaults(
            numAttentionHeads: 32, numKeyValueHeads: 8, headDim: 128, maxPositionEmbeddings: 4096, normEpsilon: 1e-5,
            normEpsilonKey: "layer_norm_epsilon"),
        "olmo2": ModelDefaults(normEpsilon: 1e-5, ropeTheta: 500_000),
        "olmo3": ModelDefaults(normEpsilon: 1e-5, ropeTheta: 500_000, hasRotationsByKind: true),
        "phi3": ModelDefaults(maxPositionEmbeddings: 4096, normEpsilon: 1e-5, partialRotaryFactor: 1),
        "qwen2": ModelDefaults(maxPositionEmbeddings: 32_768),
        "qwen3": ModelDefaults(headDim: 128, maxPositionEmbeddings: 32_768),
        "qwen3_5_moe_text": ModelDefaults(
            numAttentionHeads: 16, numKeyValueHeads: 2, headDim: 256, maxPositionEmbeddings: 32_768,
            partialRotaryFactor: 0.25),
        "qwen3_5_text": ModelDefaults(
            numAttentionHeads: 16, numKeyValueHeads: 4, headDim: 256, maxPositionEmbeddings: 32_768,
            partialRotaryFactor: 0.25),
        "qwen3_moe": ModelDefaults(maxPositionEmbeddings: 32_768),
        "seed_oss": ModelDefaults(
            numKeyValueHeads: 8, headDim: 128, maxPositionEmbeddings: 524_288, attentionBias: true),
        "smollm3": ModelDefaults(
            numKeyValueHeads: 4, maxPositionEmbeddings: 32_768, ropeTheta: 2_000_000, tieWordEmbeddings: true),
    ]
}
