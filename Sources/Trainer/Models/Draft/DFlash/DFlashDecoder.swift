/// Drafting a block at a time: what an inference engine does with the trained draft, with a cache of the context's keys
/// and values.
///
/// The cache holds what the target's features of verified tokens become; those never change. A block's own keys and
/// values are forgotten with it.
final class DFlashDecoder: Drafting {
    private let draft: DFlashDraftModel
    private let draftToTarget: [Int32]
    private let embed: ([Int32], Matrix) -> Void
    private let cache: KeyValueCache
    private let workspace: Workspace
    /// The newest token, from which the next block begins.
    private var anchor: Int32 = 0

    init(
        _ draft: DFlashDraftModel, draftToTarget: [Int32], capacity: Int, workspace: Workspace,
        embed: @escaping ([Int32], Matrix) -> Void
    ) {
        (self.draft, self.draftToTarget, self.embed, self.workspace) = (draft, draftToTarget, embed, workspace)
        cache = KeyValueCache(
            layers: draft.layers.count, width: draft.shape.keyValueWidth, capacity: capacity, workspace.compute)
    }

    func restart() { cache.truncate(to: 0) }

    func advance(features: Matrix, next: [Int32]) {
        precondition(features.rows == next.count && features.rows > 0)
        anchor = next[next.count - 1]
        let positions = (0..<features.rows).map { Int32(cache.count + $0) }
        workspace.scope {
            let context = workspace.matrix(rows: features.rows, columns: draft.shape.hiddenSize)
            draft.fc.forward(features, into: context)
            draft.hiddenNorm.forward(context, into: context)
            for (index, layer) in draft.layers.enumerated() {
                let keys = layer.keys(context, positions, draft.rotary, in: workspace)
                _ = cache.append(keys.keyValue, layer: index)
            }
        }
        cache.advance(features.rows)
    }

    func draft(_ count: Int) -> [Int32] {
        precondition(count <= draft.longestDraft)
        let first = draft.shape.firstDraftingRow
        return workspace.scope {
            let hidden = block(drafting: count, in: workspace)[rows: first..<first + count]
            let logits = workspace.matrix(rows: count, columns: draftToTarget.count)
            draft.head.head.norm.forward(hidden, into: hidden)
            draft.head.head.lmHead.forward(hidden, into: logits)
            var previous = anchor
            return (0..<count).map { k in
                addBias(after: previous, to: logits[rows: k..<k + 1])
                previous = draftToTarget[indexOfMaximum(logits.row(k), logits.columns)]
                return previous
            }
        }
    }

    /// What the Markov head, if there is one, makes of the token drafted before.
    private func addBias(after previous: Int32, to logits: Matrix) {
        guard let markov = draft.head.markov else { return }
        workspace.scope {
            let e = workspace.matrix(rows: 1, columns: markov.rank)
            markov.embed([previous], into: e)
            markov.addBias(of: e, to: logits)
        }
    }

    /// h of the block that follows the verified tokens, with as many rows as it takes to draft `count` tokens.
    ///
    /// So do llama.cpp and vLLM, whose blocks are as long as what is drafted. Rows see each other both ways, so that a
    /// block of fewer rows than were trained is another one, not the beginning of the whole.
    func block(drafting count: Int, in workspace: Workspace) -> Matrix {
        let (shape, rows) = (draft.shape, draft.shape.firstDraftingRow + count)
        let positions = (0..<rows).map { Int32(cache.count + $0) }
        let segment = BlockAttention.Segment(
            firstRow: 0, context: 0..<cache.count, anchors: [cache.count], blockSize: rows)
        var hidden = workspace.matrix(rows: rows, columns: shape.hiddenSize)
        embed([anchor] + [Int32](repeating: shape.maskToken, count: rows - 1), hidden)
        for (index, layer) in draft.layers.enumerated() {
            hidden =
                layer.forward(
                    hidden, context: cache.keyValue(layer: index), [segment], positions, draft.rotary, in: workspace
                ).hidden
        }
        return hidden
    }
}
