/// The sizes and layouts of what layers are made of.
extension DecoderDescription {
    struct Experts {
        var count: Int
        var perToken: Int
        var intermediateSize: Int
        var weighting: ExpertRouting.Weighting
        /// The router's name within the feed-forward network's.
        var routerName: String
        var hasBias = false
        /// The tensor that is added to what experts are chosen by, within the feed-forward network; nil for none.
        var correctionName: String?
        var layout: Layout
        /// Intermediate features of the expert that every token goes to; nil if there is none.
        var sharedIntermediateSize: Int?
        /// Whether gate and up of that one are one tensor.
        var hasFusedShared = false
        /// Whether a map to one number says how much that one counts (Qwen3.5).
        var hasSharedGate = false
        /// Whether each expert's weight is multiplied by a number of its own (Gemma 4).
        var hasExpertScales = false

        /// How the checkpoint stores the experts.
        enum Layout {
            /// gate_proj, up_proj and down_proj of each.
            case separate
            /// gate_up_proj [experts, hidden, 2 · intermediate] and down_proj [experts, intermediate, hidden], where
            /// gate and up are the halves of the last axis, or alternate on it; or packed by MXFP4.
            case fused(isInterleaved: Bool)
            /// gate_up_proj [experts, 2 · intermediate, hidden] and down_proj [experts, hidden, intermediate].
            case stacked
            /// gate_proj, up_proj and down_proj of all experts, [experts, out, in] each, or gate and up as one tensor,
            /// gate_up_proj: GGUF's.
            case stackedParts
        }
    }

    /// Multi-head latent attention: queries, keys and values are made of a few features of each row.
    struct LatentSizes {
        /// The features that queries are made of; nil where they are made of the row itself.
        var queryRank: Int?
        var keyValueRank: Int
        /// Elements of a query or key that don't turn, and of those that do: these are the same for all heads' keys.
        var plainDim: Int
        var turnedDim: Int
        var valueDim: Int
    }

    /// The gated delta rule: heads of keys, each for as many neighbouring heads of values.
    struct GatedDeltaSizes {
        var keyHeads: Int
        var valueHeads: Int
        var keyDim: Int
        var valueDim: Int
        var taps: Int
        /// Whether, as in GGUF, the heads of values that share keys are not neighbours, but as far apart as there are
        /// heads of keys, the map to queries, keys and values has attention's name, and A's logarithm isn't taken.
        var isConverted = false
    }

    /// Mamba-2: heads, each group of which shares its inputs and outputs of the state.
    struct StateSpaceSizes {
        var heads: Int
        var headDim: Int
        var groups: Int
        var stateSize: Int
        var taps: Int
        var hasConvolutionBias: Bool
        /// Within which Δ is held.
        var deltas: ClosedRange<Float>
        /// Whether A's logarithm isn't taken, as in GGUF.
        var isConverted = false
    }

    /// An embedding of each token for each layer.
    struct PerLayerInputs {
        /// Numbers of a token and layer.
        var size: Int
        var vocabSize: Int
    }

    /// The sizes that a layer's heads have.
    func headDim(_ layer: Layer) -> Int { layer.headDim ?? headDim }
    func numKeyValueHeads(_ layer: Layer) -> Int { layer.numKeyValueHeads ?? numKeyValueHeads }
}

/// The names that a checkpoint has for what is called otherwise in Llama's: parts of paths, replaced in order.
struct TensorSpelling: ExpressibleByDictionaryLiteral {
    private var replacements: [(from: String, to: String)]

    init(dictionaryLiteral elements: (String, String)...) {
        replacements = elements.map { (".\($0).", ".\($1).") }
    }

    /// Replaces more, after the others.
    mutating func add(_ other: TensorSpelling) { replacements += other.replacements }

    /// What Llama calls norms that are told apart here, so that a family can call them otherwise.
    private static let common = [(from: ".final_norm.", to: ".norm."), (from: ".gated_norm.", to: ".norm.")]

    /// A tensor's name in the checkpoint: whole parts between dots are replaced.
    func callAsFunction(_ name: String) -> String {
        var path = ".\(name)."
        for (from, to) in replacements + Self.common where path.contains(from) { path = path.replacing(from, with: to) }
        return String(path.dropFirst().dropLast())
    }
}
