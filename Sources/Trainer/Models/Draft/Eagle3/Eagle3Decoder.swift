import Glibc

/// Drafting token by token: what an inference engine does with the trained draft, with a key/value cache.
///
/// Row i of the cache holds the target's features of token i and the embedding of token i + 1, as row i of step 0 in
/// training. Drafting continues from the last of them with the draft's own hidden state in place of features, at
/// positions of its own, as later steps do; when the target has verified, those rows are replaced by true ones. The
/// layers, the attention and the rotation are the training's.
final class Eagle3Decoder: TreeDrafting {
    private let draft: Eagle3DraftModel
    private let draftToTarget: [Int32]
    private let embed: ([Int32], Matrix) -> Void
    private let cache: KeyValueCache
    private let workspace: Workspace
    /// h of the newest row: [1, hidden].
    private let hidden: Matrix
    /// The newest verified row's h, from which every path of a tree begins: [1, hidden].
    private let newestVerified: Matrix
    private let memory: FrozenWeights

    /// - Parameter embed: Writes the target's embedding of ids.
    init(
        _ draft: Eagle3DraftModel, draftToTarget: [Int32], capacity: Int, workspace: Workspace,
        embed: @escaping ([Int32], Matrix) -> Void
    ) {
        self.draft = draft
        self.draftToTarget = draftToTarget
        self.embed = embed
        self.workspace = workspace
        memory = FrozenWeights(workspace.compute)
        cache = KeyValueCache(
            layers: draft.layers.count, width: draft.configuration.keyValueWidth, capacity: capacity, workspace.compute)
        hidden = memory.matrix(rows: 1, columns: draft.configuration.hiddenSize)
        newestVerified = memory.matrix(rows: 1, columns: draft.configuration.hiddenSize)
    }

    /// Rows of verified tokens.
    private(set) var verifiedRows = 0

    /// Forgets everything, for another sequence.
    func restart() {
        cache.truncate(to: 0)
        verifiedRows = 0
    }

    /// Adds verified tokens and drops what was drafted after those before.
    ///
    /// - Parameters:
    ///   - features: The target's features of some tokens, [rows, 3 targetHidden].
    ///   - next: The token after each of them.
    func advance(features: Matrix, next: [Int32]) {
        precondition(features.rows == next.count && features.rows > 0)
        cache.truncate(to: verifiedRows)
        workspace.scope {
            let projected = workspace.matrix(rows: features.rows, columns: draft.configuration.hiddenSize)
            draft.fusion.forward(features, into: projected, in: workspace)
            let output = step(projected, next)
            hidden.copy(from: output[rows: output.rows - 1..<output.rows])
        }
        verifiedRows = cache.count
        newestVerified.copy(from: hidden)
    }

    /// Drafts tokens greedily from the newest verified row.
    ///
    /// - Returns: Target ids, the likeliest of each step.
    func draft(_ count: Int) -> [Int32] {
        beginPath()
        var tokens: [Int32] = []
        while tokens.count < count {
            if let last = tokens.last { continueDraft(with: last) }
            tokens.append(likeliest())
        }
        return tokens
    }

    /// Drops what was drafted after the newest verified row.
    private func beginPath() {
        cache.truncate(to: verifiedRows)
        hidden.copy(from: newestVerified)
    }

    func continuations(after path: [Int32], count: Int) -> [DraftedToken] {
        beginPath()
        for token in path { continueDraft(with: token) }
        return workspace.scope {
            let logits = logits()
            let (size, best) = (logits.columns, maximum(logits.start, logits.columns))
            let sum = (0..<size).reduce(0.0) { $0 + Double(exp(logits[0, $1] - best)) }
            let likeliest = (0..<size).sorted {
                logits[0, $0] != logits[0, $1] ? logits[0, $0] > logits[0, $1] : $0 < $1
            }
            return likeliest.prefix(count).map {
                DraftedToken(id: draftToTarget[$0], logProbability: logits[0, $0] - best - Float(log(sum)))
            }
        }
    }

    /// Adds a row for a token after those drafted.
    func continueDraft(with token: Int32) {
        workspace.scope {
            let output = step(draft.output(hidden, in: workspace), [token])
            hidden.copy(from: output)
        }
    }

    /// h of the newest row.
    var newestHidden: [Float] { Array(UnsafeBufferPointer(start: hidden.start, count: hidden.count)) }

    private func likeliest() -> Int32 {
        workspace.scope {
            let logits = logits()
            return draftToTarget[indexOfMaximum(logits.start, logits.columns)]
        }
    }

    /// The newest row's logits, in the workspace's scope that is open.
    private func logits() -> Matrix {
        let normalized = workspace.matrix(rows: 1, columns: hidden.columns)
        let logits = workspace.matrix(rows: 1, columns: draft.configuration.draftVocabSize)
        draft.head.norm.forward(hidden, into: normalized)
        draft.head.lmHead.forward(normalized, into: logits)
        return logits
    }

    /// Runs the layers over rows that continue the cache, and returns their h.
    private func step(_ hidden: Matrix, _ next: [Int32]) -> Matrix {
        let (shape, rows) = (draft.configuration, DecoderRows(continuing: cache, count: hidden.rows))
        let embedding = workspace.matrix(rows: hidden.rows, columns: shape.hiddenSize)
        embed(next, embedding)
        var hidden = hidden
        for (index, layer) in draft.layers.enumerated() {
            let x = workspace.matrix(rows: hidden.rows, columns: layer.inputWidth)
            layer.input(embedding: embedding, hidden: hidden, into: x)
            let joined = workspace.matrix(rows: hidden.rows, columns: shape.queryWidth + 2 * shape.keyValueWidth)
            layer.qkvProjection.forward(x, into: joined)
            let q = joined[columns: 0..<shape.queryWidth]
            let new = draft.keyValue(joined[columns: shape.queryWidth..<joined.columns])
            draft.rotary.apply(q, positionOf: rows.positions)
            draft.rotary.apply(new.keys, positionOf: rows.positions)
            let all = cache.append(new, layer: index)
            let output = workspace.matrix(rows: hidden.rows, columns: shape.queryWidth)
            let logSumExp = workspace.matrix(rows: shape.numAttentionHeads, columns: hidden.rows)
            draft.attention.forward(
                q, prefix: all, visible: rows.visible,
                segments: [Attention.Segment(queries: 0..<hidden.rows, keys: 0..<all.keys.rows)], into: output,
                logSumExp: logSumExp, in: workspace)
            let residual = workspace.matrix(rows: hidden.rows, columns: shape.hiddenSize)
            layer.residual(hidden: hidden, x: x, rows: nil, into: residual)
            hidden = layer.finish(output, afterAttention: residual, keepsGateUp: false, in: workspace).hidden
        }
        cache.advance(hidden.rows)
        return hidden
    }
}
