import Shared

/// What differs between the families of decoders: sizes, norms, rotation, attention, experts and the tensors' layout.
///
/// Made from a `config.json` it is a Llama; a family changes what it has otherwise.
struct DecoderDescription {
    var hiddenSize: Int
    var numAttentionHeads: Int
    var numKeyValueHeads: Int
    var headDim: Int
    var vocabSize: Int
    var rmsNormEpsilon: Float
    var tiesWordEmbeddings: Bool
    /// What embeddings are multiplied by before the first layer.
    var embeddingScale: Float = 1
    /// Added to the weights of norms as they are stored (Gemma: 1).
    var normOffset: Float = 0
    /// Whether what attention and feed-forward network give is normalised before it is added (Gemma).
    var hasOutputNorms = false
    /// Scores are multiplied by it.
    var attentionScale: Float
    /// Biases of q_proj, k_proj and v_proj; of o_proj; of gate_proj, up_proj and down_proj.
    var hasQKVBias = false
    var hasOutputBias = false
    var hasMLPBias = false
    /// Whether each head has a sink: a logit in attention's softmax that belongs to no key (gpt-oss).
    var hasSinks = false
    var gate = GatedActivation.Gate.silu
    /// The rotations that layers choose from.
    var rotations: [RotaryScaling]
    var layers: [Layer]

    // How the checkpoint stores it.

    /// Whether q, k and v are one tensor, and gate and up another (Phi-3).
    var hasFusedProjections = false
    /// Whether pairs of a head's rotation are neighbours, instead of its halves (Llama 4, and Llama in GGUF).
    var hasInterleavedRotation = false
    /// The layer's feed-forward network: its name in the checkpoint.
    var feedForwardName = "mlp"

    /// One layer, as far as layers differ.
    struct Layer {
        var span = AttentionSpan.full
        /// Which of the rotations it has; nil for none.
        var rotation: Int? = 0
        var headNorm = HeadNorm.none
        var temperature: QueryTemperature?
        var feedForward: FeedForward
    }

    /// The norm of each head of queries and keys, before their rotation.
    enum HeadNorm {
        case none
        /// With weights: `q_norm` and `k_norm`.
        case weighted
        /// Without; it commutes with the rotation, so that it may come after it in the original.
        case plain
    }

    enum FeedForward {
        /// A gated network of that many intermediate features.
        case dense(Int)
        case experts(Experts)
    }

    struct Experts {
        var count: Int
        var perToken: Int
        var intermediateSize: Int
        var weighting: MixtureOfExperts.Weighting
        /// The router's name within the feed-forward network's.
        var routerName: String
        var hasBias = false
        var layout: Layout
        /// Intermediate features of the expert that every token goes to; nil if there is none.
        var sharedIntermediateSize: Int?

        /// How the checkpoint stores the experts.
        enum Layout {
            /// gate_proj, up_proj and down_proj of each.
            case separate
            /// gate_up_proj [experts, hidden, 2 · intermediate] and down_proj [experts, intermediate, hidden], where
            /// gate and up are the halves of the last axis, or alternate on it; or packed by MXFP4.
            case fused(isInterleaved: Bool)
        }
    }

    /// A Llama of the configuration's sizes.
    /// - Throws: `JSONError` that names the key, if the configuration asks for what isn't supported.
    init(_ configuration: ModelConfiguration) throws(JSONError) {
        hiddenSize = configuration.hiddenSize
        numAttentionHeads = configuration.numAttentionHeads
        numKeyValueHeads = configuration.numKeyValueHeads
        headDim = configuration.headDim
        vocabSize = configuration.vocabSize
        rmsNormEpsilon = Float(configuration.rmsNormEpsilon)
        tiesWordEmbeddings = configuration.tieWordEmbeddings
        attentionScale = 1 / Float(configuration.headDim).squareRoot()
        rotations = [try RotaryScaling(configuration.rope, headDim: configuration.headDim)]
        layers = [Layer](
            repeating: Layer(feedForward: .dense(configuration.intermediateSize)),
            count: configuration.numHiddenLayers)
    }
}
