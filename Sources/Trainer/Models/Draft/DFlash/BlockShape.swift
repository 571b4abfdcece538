/// The sizes of a draft that drafts in blocks, and what its rows see.
struct BlockShape: Equatable, Sendable {
    /// The target's too: embedding and head are the target's.
    let hiddenSize: Int
    let intermediateSize: Int
    let numHiddenLayers: Int
    let numAttentionHeads: Int
    let numKeyValueHeads: Int
    let headDim: Int
    let rmsNormEpsilon: Float
    /// How many of the target's layers it sees.
    let featureCount: Int
    let vocabSize: Int
    let draftVocabSize: Int
    /// B: rows of a block, the anchor's among them.
    let blockSize: Int
    /// Whether row k predicts the token after its own, and so the anchor's row the first one; else it predicts its own
    /// token, and the anchor's row nothing (`sample_from_anchor`).
    let anchorFirst: Bool
    let maskToken: Int32
    /// Of each layer.
    let spans: [Span]
    /// r of the Markov head; 0 if there is none.
    var markovRank = 0
    /// What the confidence head sees; nil if there is none.
    var confidence: Confidence?

    enum Confidence: Sendable { case hidden, hiddenAndToken }

    /// What rows of a layer see.
    struct Span: Equatable, Sendable {
        /// How many tokens before the anchor, for all rows of its block; nil for all.
        var window: Int?
        /// Whether a row sees no later ones of its block.
        var isCausal = false
    }

    var queryWidth: Int { numAttentionHeads * headDim }
    var keyValueWidth: Int { numKeyValueHeads * headDim }
    /// Tokens of a block that are drafted.
    var draftedTokens: Int { anchorFirst ? blockSize : blockSize - 1 }
    /// The row of a block that drafts its first token.
    var firstDraftingRow: Int { anchorFirst ? 0 : 1 }
    /// Whether the head is rows of the target's and stands in checkpoints; the whole head never does.
    var hasOwnHead: Bool { draftVocabSize < vocabSize }
}
