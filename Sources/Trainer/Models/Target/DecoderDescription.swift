import Shared

/// What differs between the families of decoders: sizes, norms, mixers, rotation, experts and the tensors' layout.
///
/// Made from a `config.json` it is a Llama; a family changes what it has otherwise.
struct DecoderDescription {
    var hiddenSize: Int
    var numAttentionHeads: Int
    var numKeyValueHeads: Int
    var headDim: Int
    var vocabSize: Int
    var normEpsilon: Float
    var tiesWordEmbeddings: Bool
    /// What embeddings are multiplied by before the first layer.
    var embeddingScale: Float = 1
    /// What each part of a layer gives is multiplied by before it is added (Granite).
    var residualScale: Float = 1
    /// What logits are multiplied by, and then held within as c tanh(x / c); nil for no cap.
    var logitScale: Float = 1
    var logitCap: Float?
    var norm = NormKind.rms
    /// Added to the weights of norms as they are stored (Gemma: 1).
    var normOffset: Float = 0
    var norms = NormNames.before
    /// Whether feed-forward networks see what mixers see, so that both are added at once (Cohere).
    var isParallel = false
    /// Scores are multiplied by it.
    var attentionScale: Float
    /// Scores are held within it as c tanh(s / c); nil for none.
    var scoreCap: Float?
    /// Biases of q_proj, k_proj and v_proj; of o_proj; of gate_proj, up_proj and down_proj.
    var hasQKVBias = false
    var hasOutputBias = false
    var hasMLPBias = false
    /// Whether each head has a sink: a logit in attention's softmax that belongs to no key (gpt-oss).
    var hasSinks = false
    /// Whether q_proj has a gate for each of its features, whose logistic function attention's output is multiplied by
    /// (Qwen3.5).
    var hasOutputGate = false
    var gate = GatedActivation.Gate.silu
    /// The rotations that layers choose from.
    var rotations: [RotaryScaling]
    var layers: [Layer]
    /// An embedding of each token for each layer (Gemma 4); nil for none.
    var perLayerInputs: PerLayerInputs?

    // How the checkpoint stores it.

    /// Whether q, k and v are one tensor; whether gate and up are.
    var hasFusedQKV = false
    var hasFusedGateUp = false
    /// Whether pairs of a head's rotation are neighbours, instead of its halves (Llama 4, and Llama in GGUF).
    var hasInterleavedRotation = false
    /// The checkpoint's names for what has another in Llama's.
    var spelling = TensorSpelling()
    /// What names of tensors begin with that the model doesn't need: those of multi-token prediction, for example.
    var unusedTensors: [String] = []

    enum NormKind {
        case rms
        /// Minus the mean too, without bias (Cohere).
        case layer
    }

    /// The norms of a layer's two parts, by their names in the checkpoint: of what goes in and of what comes out; nil
    /// for none.
    struct NormNames {
        var mixerInput: String?
        var mixerOutput: String?
        var feedForwardInput: String?
        var feedForwardOutput: String?

        /// Before each part: Llama's.
        static let before = NormNames(
            mixerInput: "input_layernorm", feedForwardInput: "post_attention_layernorm")
        /// After each part: OLMo's.
        static let after = NormNames(
            mixerOutput: "post_attention_layernorm", feedForwardOutput: "post_feedforward_layernorm")
        /// Both: Gemma's.
        static let around = NormNames(
            mixerInput: "input_layernorm", mixerOutput: "post_attention_layernorm",
            feedForwardInput: "pre_feedforward_layernorm", feedForwardOutput: "post_feedforward_layernorm")
    }

    /// One layer, as far as layers differ.
    struct Layer {
        var mixer = Mixer.attention
        var span = AttentionSpan.full
        /// Which of the rotations it has; nil for none.
        var rotation: Int? = 0
        var headNorm = HeadNorm.none
        var temperature: QueryTemperature?
        /// Sizes of its own; nil for the model's.
        var headDim: Int?
        var numKeyValueHeads: Int?
        var keyValues = KeyValues.projected
        /// Whether values are normalised by head, without weights (Gemma 4).
        var normalizesValues = false
        var feedForward: FeedForward
        /// Whether a number of the checkpoint's multiplies its output (Gemma 4).
        var hasOutputScale = false
    }

    /// What mixes the rows of a sequence.
    enum Mixer {
        case none
        case attention
        case latentAttention(LatentSizes)
        case shortConvolution(taps: Int)
        case gatedDelta(GatedDeltaSizes)
        case stateSpace(StateSpaceSizes)
    }

    /// Where a layer's keys and values come from.
    enum KeyValues {
        /// Maps of their own.
        case projected
        /// Values are what keys are before their norm and rotation.
        case keysAlone
        /// Those of an earlier layer.
        case layer(Int)
    }

    /// The norm of each head of queries and keys.
    enum HeadNorm {
        case none
        /// With weights, before the rotation: `q_norm` and `k_norm`.
        case weighted
        /// With weights, after it (Hunyuan).
        case weightedAfterRotation
        /// With weights, over all heads at once (OLMo).
        case joint
        /// Without; it commutes with the rotation, so that it may come after it in the original.
        case plain
    }

    enum FeedForward {
        case none
        /// A network of that many intermediate features.
        case dense(Int)
        case experts(Experts)
        /// Both of the same rows, each with norms of its own, added (Gemma 4).
        case both(Int, Experts)
    }

    /// A Llama of the configuration's sizes.
    /// - Throws: `JSONError` that names the key, if the configuration asks for what isn't supported.
    init(_ configuration: ModelConfiguration) throws(JSONError) {
        hiddenSize = configuration.hiddenSize
        numAttentionHeads = configuration.numAttentionHeads
        numKeyValueHeads = configuration.numKeyValueHeads
        headDim = configuration.headDim
        vocabSize = configuration.vocabSize
        normEpsilon = Float(configuration.rmsNormEpsilon)
        tiesWordEmbeddings = configuration.tieWordEmbeddings
        attentionScale = 1 / Float(configuration.headDim).squareRoot()
        rotations = [try RotaryScaling(configuration.rope, headDim: configuration.headDim)]
        layers = [Layer](
            repeating: Layer(feedForward: .dense(configuration.intermediateSize)),
            count: configuration.numHiddenLayers)
    }
}
