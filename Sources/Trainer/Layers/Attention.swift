/// Attention of queries over the keys of their sequence and over keys of their own: training-time test's, and with no
/// own keys plain causal attention.
///
/// Row r of step k of training-time test (EAGLE-3, section 3.2) sees the first `visible[r]` keys of step 0 and, of
/// each step 1…k, row r alone. With s = scale · q·key over all of them, p = softmax(s):
///
///     o = Σ p v
///
/// Backward, with D = do·o:
///
///     ds = p (do·v − D)      dv += p do
///     dq = scale Σ ds key    dkey += scale ds q
///
/// Scores are made a tile at a time, which stays in the cache: some rows of queries by some keys. In the backward pass
/// they are recomputed and the probabilities come from the stored log-sum-exp, so memory is linear in the rows. Keys
/// and values of one step are read by every later one, so their gradients add up and are complete when the backward
/// pass reaches the step that made them.
struct Attention {
    let numHeads: Int
    let headDim: Int
    /// The key/value head that each query head reads, counted within this rank's.
    let keyValueHead: [Int]
    let scale: Float
    /// What the operands of products with step 0's keys and values are rounded to; sums are float32, and so is all of
    /// the rows' own keys and values.
    var precision = MatrixPrecision.float32

    /// A sequence's place in a batch: its rows among the queries and among the keys.
    struct Segment {
        let queries: Range<Int>
        let keys: Range<Int>
    }

    /// Keys and values, [rows, numKeyValueHeads · headDim] each; keys are rotated.
    struct KeyValue {
        let keys: Matrix
        let values: Matrix
    }

    /// o = attention of q.
    ///
    /// - Parameters:
    ///   - q: Rotated queries, [rows, numHeads · headDim].
    ///   - prefix: Step 0's keys and values.
    ///   - visible: How many keys of its sequence each row sees; must not fall within a sequence.
    ///   - own: Later steps' keys and values, of which each row sees its own.
    ///   - o: [rows, numHeads · headDim].
    ///   - logSumExp: [numHeads, rows], for `backward`.
    func forward(
        _ q: Matrix, prefix: KeyValue, visible: [Int32], own: [KeyValue] = [], segments: [Segment], into o: Matrix,
        logSumExp: Matrix, in workspace: Workspace
    ) {
        let blocks = blocks(of: segments, visible)
        workspace.scope {
            let pass = ForwardPass(
                q: q, queries: Operand(q, precision, in: workspace),
                prefix: AttentionOperands(prefix, precision, in: workspace), visible: visible, own: own, o: o,
                logSumExp: logSumExp)
            let tiles = AttentionTile.forThreads(segments, ownCount: own.count, precision, in: workspace)
            // The last blocks see the most keys: they come first, so that threads end together.
            workspace.compute.forEach(blocks.count * numHeads) { index, worker in
                let (block, head) = (blocks[blocks.count - 1 - index / numHeads], index % numHeads)
                forward(block, head, pass, tiles[worker])
            }
        }
    }

    /// What all blocks read and write.
    private struct ForwardPass {
        let q: Matrix
        /// q as an operand.
        let queries: Operand
        let prefix: AttentionOperands
        let visible: [Int32]
        let own: [KeyValue]
        let o: Matrix
        let logSumExp: Matrix
    }

    /// One block of rows of one head.
    private func forward(_ block: Block, _ head: Int, _ pass: ForwardPass, _ tile: AttentionTile) {
        let own = pass.own
        let queries = pass.queries[rows: block.rows][columns: columns(head)]
        let output = pass.o[rows: block.rows][columns: columns(head)]
        ownScores(pass.q[rows: block.rows][columns: columns(head)], own, block, head, into: tile.own)
        for i in 0..<output.rows {
            tile.softmax.begin(i)
            _ = tile.softmax.add(tile.own.row(i), own.count, seen: 0..<own.count, to: i)
            output.row(i).update(repeating: 0, count: headDim)
            for (step, keyValue) in own.enumerated() {
                let values = keyValue.values[columns: keyValueColumns(head)]
                add(tile.own[i, step], values.row(block.rows.lowerBound + i), to: output.row(i), headDim)
            }
        }
        for keys in block.parts {
            let p = tile.p[rows: 0..<output.rows][columns: 0..<keys.count]
            let weights = tile.rounded.p[rows: 0..<output.rows][columns: 0..<keys.count]
            let (keyOperand, valueOperand) = pass.prefix[block.positions(keys), keyValueColumns(head)]
            BLAS.product(queries, transposed: false, keyOperand, transposed: true, into: p, scale: scale)
            for (i, row) in block.rows.enumerated() {
                let seen = keys.seen(pass.visible[row])
                let shrink = tile.softmax.add(p.row(i), keys.count, seen: seen, to: i)
                if shrink != 1 { Trainer.scale(output.row(i), by: shrink, headDim) }
                weights.round(i, of: p, keys.count)
            }
            BLAS.product(weights, transposed: false, valueOperand, transposed: false, into: output, accumulate: true)
        }
        for (i, row) in block.rows.enumerated() {
            Trainer.scale(output.row(i), by: 1 / tile.softmax.sum(i), headDim)
            pass.logSumExp[head, row] = tile.softmax.logSumExp(i)
        }
    }
}

// MARK: - Blocks

extension Attention {
    /// Rows of queries of one sequence, and the keys that the last of them sees.
    struct Block {
        let rows: Range<Int>
        let keys: Range<Int>

        /// Its keys, counted within the sequence, in parts of a tile's width.
        var parts: [Range<Int>] {
            stride(from: 0, to: keys.count, by: AttentionTile.keys).map {
                $0..<min($0 + AttentionTile.keys, keys.count)
            }
        }

        /// Where some keys of the sequence are among those of the batch.
        func positions(_ part: Range<Int>) -> Range<Int> {
            keys.lowerBound + part.lowerBound..<keys.lowerBound + part.upperBound
        }
    }

    /// - Parameter size: Rows of a block, at most.
    func blocks(of segments: [Segment], _ visible: [Int32], _ size: Int = AttentionTile.rows) -> [Block] {
        segments.flatMap { segment in
            stride(from: segment.queries.lowerBound, to: segment.queries.upperBound, by: size).map { first in
                let rows = first..<min(first + size, segment.queries.upperBound)
                let keyCount = Int(visible[rows.upperBound - 1])
                precondition(keyCount <= segment.keys.count)
                return Block(rows: rows, keys: segment.keys.lowerBound..<segment.keys.lowerBound + keyCount)
            }
        }
    }

    /// The scaled scores of a block's rows with their own keys: a column for each later step.
    func ownScores(_ queries: Matrix, _ own: [KeyValue], _ block: Block, _ head: Int, into scores: Matrix) {
        for (step, keyValue) in own.enumerated() {
            let keys = keyValue.keys[columns: keyValueColumns(head)]
            for (i, row) in block.rows.enumerated() {
                scores[i, step] = scale * dot(queries.row(i), keys.row(row), headDim)
            }
        }
    }

    func columns(_ head: Int) -> Range<Int> { head * headDim..<(head + 1) * headDim }

    func keyValueColumns(_ head: Int) -> Range<Int> {
        keyValueHead[head] * headDim..<(keyValueHead[head] + 1) * headDim
    }
}

extension Range<Int> {
    /// Which keys of a part a row sees that sees the first `visible` of its sequence, counted within the part.
    func seen(_ visible: Int32) -> Range<Int> { 0..<Swift.max(0, Swift.min(count, Int(visible) - lowerBound)) }
}
