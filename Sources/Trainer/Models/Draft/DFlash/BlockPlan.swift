import Shared

/// The blocks of a batch: where they begin, which rows they have, and what those learn.
///
/// A block is B rows: the token at its *anchor* and B − 1 times the mask token, at the positions from the anchor on. It
/// sees the target's features of all tokens before its anchor. Rows of blocks follow each other, the anchors of a
/// sequence ascending.
struct BlockPlan {
    /// A sequence's part of the batch.
    struct Sequence {
        /// Its tokens among those of the batch.
        let tokens: Range<Int>
        /// Its blocks among those of the batch.
        let blocks: Range<Int>
        /// Its features among those that become context: those of all tokens before its last anchor.
        let context: Range<Int>
    }

    let shape: BlockShape
    let sequences: [Sequence]
    /// The position of each block's first row in its sequence.
    let anchors: [Int]
    let labels: DraftLabels
    /// The token that each label's row predicts, of `labels.all`, in the target's ids.
    let tokens: [Int32]
    /// The token before each of those.
    let previous: [Int32]

    /// Which rows of a block learn.
    enum LabelMask: String, CaseIterable, Sendable {
        /// Those whose token is supervised, and all before it in the block: what a decoder asks for. DeepSpec's.
        case prefix
        /// All whose token is supervised.
        case each
        /// All whose own position is supervised: the same in place, and one token early from the anchor. Speculators'.
        case row
    }

    /// - Parameters:
    ///   - anchors: Of each sequence, ascending; each is the position of a token.
    init(_ sequences: [TrainingSequence], anchors: [[Int]], _ shape: BlockShape, _ mask: LabelMask) {
        var (parts, labels): ([Sequence], [DraftLabels.Label]) = ([], [])
        var (tokens, previous): ([Int32], [Int32]) = ([], [])
        var (token, block, context) = (0, 0, 0)
        for (index, (sequence, anchors)) in zip(sequences, anchors).enumerated() {
            let part = Sequence(
                tokens: token..<token + sequence.length, blocks: block..<block + anchors.count,
                context: context..<context + (anchors.last ?? 0))
            let own = Self.labels(sequence.sample, anchors, part, index, shape, mask)
            labels += own
            tokens += own.map { sequence.sample.inputIDs[($0.targetRow ?? 0) - token + 1] }
            previous += own.map { sequence.sample.inputIDs[($0.targetRow ?? 0) - token] }
            parts.append(part)
            (token, block, context) = (part.tokens.upperBound, part.blocks.upperBound, part.context.upperBound)
        }
        self.shape = shape
        self.sequences = parts
        self.anchors = anchors.flatMap { $0 }
        self.labels = DraftLabels(
            positionCount: shape.draftedTokens, sequenceCount: sequences.count, roundCount: block, neighbours: .round,
            all: labels)
        self.tokens = tokens
        self.previous = previous
    }

    private static func labels(
        _ sample: Sample, _ anchors: [Int], _ part: Sequence, _ index: Int, _ shape: BlockShape, _ mask: LabelMask
    ) -> [DraftLabels.Label] {
        anchors.enumerated().flatMap { number, anchor in
            let round = part.blocks.lowerBound + number
            let positions = learnt(sample.lossMask, anchor, shape, mask)
            return positions.map { position in
                DraftLabels.Label(
                    position: position, row: round * shape.blockSize + shape.firstDraftingRow + position, round: round,
                    targetRow: part.tokens.lowerBound + anchor + position, sequence: index)
            }
        }
    }

    /// The positions after an anchor that learn: position p predicts the token p + 1 after it.
    static func learnt(_ lossMask: [Bool], _ anchor: Int, _ shape: BlockShape, _ mask: LabelMask) -> [Int] {
        let inside = (0..<shape.draftedTokens).filter { anchor + 1 + $0 < lossMask.count }
        switch mask {
        case .prefix: return Array(inside.prefix { lossMask[anchor + 1 + $0] })
        case .each: return inside.filter { lossMask[anchor + 1 + $0] }
        case .row: return inside.filter { lossMask[anchor + shape.firstDraftingRow + $0] }
        }
    }

    /// Positions of a sequence, drawn without replacement from those whose token and the next are supervised, ascending.
    ///
    /// A decoder asks for a block after a token that was generated, never after the prompt's last, and a block whose
    /// first token isn't supervised would learn nothing.
    ///
    /// - Parameters:
    ///   - count: The most anchors.
    ///   - seed: The same anchors for the same seed.
    static func draw(_ lossMask: [Bool], count: Int, seed: UInt64) -> [Int] {
        var candidates = lossMask.indices.dropLast().filter { lossMask[$0] && lossMask[$0 + 1] }
        guard candidates.count > count else { return candidates }
        var random = SplitMix64(seed: seed)
        for i in 0..<count { candidates.swapAt(i, i + random.below(candidates.count - i)) }
        return candidates.prefix(count).sorted()
    }

    // MARK: Rows

    var rowCount: Int { anchors.count * shape.blockSize }
    var contextCount: Int { sequences.last?.context.upperBound ?? 0 }

    /// Each row's position in its sequence.
    var positions: [Int32] {
        anchors.flatMap { anchor in (0..<shape.blockSize).map { Int32(anchor + $0) } }
    }

    /// Each context row's position in its sequence.
    var contextPositions: [Int32] { sequences.flatMap { (0..<$0.context.count).map(Int32.init) } }

    /// Each row's place in `Lesson.embedding`, in which the mask's embedding follows that of each sequence.
    var embeddingRows: [Int32] {
        sequences.enumerated().flatMap { index, sequence in
            let mask = Int32(sequence.tokens.upperBound + index)
            return anchors[sequence.blocks].flatMap { anchor in
                [Int32(sequence.tokens.lowerBound + index + anchor)]
                    + [Int32](repeating: mask, count: shape.blockSize - 1)
            }
        }
    }

    /// What `BlockAttention` is given.
    var segments: [BlockAttention.Segment] {
        sequences.map {
            BlockAttention.Segment(
                firstRow: $0.blocks.lowerBound * shape.blockSize, context: $0.context,
                anchors: Array(anchors[$0.blocks]), blockSize: shape.blockSize)
        }
    }
}
