/// Attention of blocks: each row sees the context before its block's anchor, and rows of its own block.
///
/// With s = scale · q·key over both, p = softmax(s):
///
///     o = Σ p v
///
/// Backward, with D = do·o and p from the stored log-sum-exp:
///
///     ds = p (do·v − D)      dv += p do
///     dq = scale Σ ds key    dkey += scale ds q
///
/// Neighbouring blocks of a sequence are worked on together, up to 128 rows: their scores with all context that the last
/// of them sees, and with each other, of which each row's own are kept. All in float32.
struct BlockAttention {
    let shape: BlockShape
    let span: BlockShape.Span

    /// A sequence's blocks.
    struct Segment {
        /// The first block's first row.
        let firstRow: Int
        /// The sequence's context, from its first token on.
        let context: Range<Int>
        /// How much of it each block sees, ascending.
        let anchors: [Int]
        /// Rows of each block.
        let blockSize: Int
    }

    /// Neighbouring blocks of a sequence.
    private struct Piece {
        let rows: Range<Int>
        /// Of each block.
        let anchors: ArraySlice<Int>
        /// The context that any of them sees, counted within the sequence.
        let seen: Range<Int>
        /// The same among all context.
        let context: Range<Int>
        /// Rows of each block.
        let blockSize: Int
    }

    /// A thread's memory: scores with the context and with the piece's own rows, and their gradients.
    private struct Tile {
        let context: Matrix
        let own: Matrix
        let dContext: Matrix
        let dOwn: Matrix
        let softmax: StreamingSoftmax
    }

    private var scale: Float { 1 / Float(shape.headDim).squareRoot() }

    private func keyValueHead(_ head: Int) -> Int { head / (shape.numAttentionHeads / shape.numKeyValueHeads) }

    private func columns(_ head: Int) -> Range<Int> { head * shape.headDim..<(head + 1) * shape.headDim }

    /// o = attention of q.
    ///
    /// - Parameters:
    ///   - q: Rotated queries, [rows, numAttentionHeads · headDim].
    ///   - context: Keys and values of the segments' context; keys are rotated.
    ///   - own: Those of the rows.
    ///   - logSumExp: [numAttentionHeads, rows], for `backward`.
    func forward(
        _ q: Matrix, context: Attention.KeyValue, own: Attention.KeyValue, _ segments: [Segment], into o: Matrix,
        logSumExp: Matrix, in workspace: Workspace
    ) {
        let pieces = segments.flatMap(pieces)
        workspace.scope {
            let tiles = tiles(pieces, isBackward: false, in: workspace)
            workspace.compute.forEach(pieces.count * shape.numAttentionHeads) { index, worker in
                // The last pieces see the most: they come first, so that threads end together.
                let piece = pieces[pieces.count - 1 - index / shape.numAttentionHeads]
                let head = index % shape.numAttentionHeads
                let output = o[rows: piece.rows][columns: columns(head)]
                let (p, pOwn) = scores(piece, head, q, context.keys, own.keys, tiles[worker])
                let softmax = tiles[worker].softmax
                for i in 0..<p.rows {
                    softmax.begin(i)
                    _ = softmax.add(p.row(i), p.columns, seen: seen(i, piece), to: i)
                    let shrink = softmax.add(pOwn.row(i), pOwn.columns, seen: ownSeen(i, piece), to: i)
                    if shrink != 1 { Trainer.scale(p.row(i), by: shrink, p.columns) }
                }
                let columns = columns(keyValueHead(head))
                product(p, context.values[rows: piece.context][columns: columns], into: output)
                product(pOwn, own.values[rows: piece.rows][columns: columns], into: output, accumulate: true)
                for (i, row) in piece.rows.enumerated() {
                    Trainer.scale(output.row(i), by: 1 / softmax.sum(i), output.columns)
                    logSumExp[head, row] = softmax.logSumExp(i)
                }
            }
        }
    }

    /// Writes the gradient of q, and adds to the gradients of all keys and values.
    func backward(
        _ dO: Matrix, q: Matrix, o: Matrix, logSumExp: Matrix, context: Attention.KeyValue, own: Attention.KeyValue,
        _ segments: [Segment], into dQ: Matrix, dContext: Attention.KeyValue, dOwn: Attention.KeyValue,
        in workspace: Workspace
    ) {
        let pieces = segments.map(pieces)
        workspace.scope {
            let tiles = tiles(pieces.flatMap { $0 }, isBackward: true, in: workspace)
            let heads = shape.numAttentionHeads / shape.numKeyValueHeads
            // One thread has all query heads of a key/value head, so that no two add to the same gradient.
            workspace.compute.forEach(segments.count * shape.numKeyValueHeads) { index, worker in
                let (segment, keyValueHead) = index.quotientAndRemainder(dividingBy: shape.numKeyValueHeads)
                let (tile, shared) = (tiles[worker], columns(keyValueHead))
                for piece in pieces[segment] {
                    for head in keyValueHead * heads..<(keyValueHead + 1) * heads {
                        let columns = columns(head)
                        let (queries, gradient) = (
                            q[rows: piece.rows][columns: columns], dO[rows: piece.rows][columns: columns]
                        )
                        let output = o[rows: piece.rows][columns: columns]
                        let (p, pOwn) = scores(piece, head, q, context.keys, own.keys, tile)
                        let (ds, dsOwn) = (
                            tile.dContext[rows: 0..<p.rows][columns: 0..<p.columns],
                            tile.dOwn[rows: 0..<p.rows][columns: 0..<pOwn.columns]
                        )
                        let keys = context.keys[rows: piece.context][columns: shared]
                        let ownKeys = own.keys[rows: piece.rows][columns: shared]
                        product(
                            gradient, transposed: context.values[rows: piece.context][columns: shared], into: ds)
                        product(gradient, transposed: own.values[rows: piece.rows][columns: shared], into: dsOwn)
                        for (i, row) in piece.rows.enumerated() {
                            let d = dot(gradient.row(i), output.row(i), shape.headDim)
                            let shift = logSumExp[head, row]
                            _ = p.row(i).exponentiate(p.columns, seen: seen(i, piece), minus: shift)
                            _ = pOwn.row(i).exponentiate(pOwn.columns, seen: ownSeen(i, piece), minus: shift)
                            scoreGradient(p.row(i), ds.row(i), p.columns, minus: d)
                            scoreGradient(pOwn.row(i), dsOwn.row(i), pOwn.columns, minus: d)
                        }
                        product(transposed: p, gradient, addTo: dContext.values[rows: piece.context][columns: shared])
                        product(transposed: ds, queries, addTo: dContext.keys[rows: piece.context][columns: shared])
                        product(transposed: pOwn, gradient, addTo: dOwn.values[rows: piece.rows][columns: shared])
                        product(transposed: dsOwn, queries, addTo: dOwn.keys[rows: piece.rows][columns: shared])
                        let dQueries = dQ[rows: piece.rows][columns: columns]
                        product(ds, keys, into: dQueries)
                        product(dsOwn, ownKeys, into: dQueries, accumulate: true)
                    }
                }
            }
        }
    }

    // MARK: Pieces

    private func pieces(_ segment: Segment) -> [Piece] {
        let blockSize = segment.blockSize
        let size = max(1, AttentionTile.rows / blockSize)
        return stride(from: 0, to: segment.anchors.count, by: size).map { first in
            let anchors = segment.anchors[first..<min(first + size, segment.anchors.count)]
            let seen = firstSeen(anchors[first])..<anchors[anchors.endIndex - 1]
            return Piece(
                rows: segment.firstRow + first * blockSize..<segment.firstRow + anchors.endIndex * blockSize,
                anchors: anchors, seen: seen,
                context: segment.context.lowerBound + seen.lowerBound..<segment.context.lowerBound + seen.upperBound,
                blockSize: blockSize)
        }
    }

    private func firstSeen(_ anchor: Int) -> Int { span.window.map { max(0, anchor - $0) } ?? 0 }

    /// Which of a piece's context a row sees.
    private func seen(_ row: Int, _ piece: Piece) -> Range<Int> {
        let anchor = piece.anchors[piece.anchors.startIndex + row / piece.blockSize]
        return firstSeen(anchor) - piece.seen.lowerBound..<anchor - piece.seen.lowerBound
    }

    /// Which of a piece's rows a row sees.
    private func ownSeen(_ row: Int, _ piece: Piece) -> Range<Int> {
        let first = row / piece.blockSize * piece.blockSize
        return first..<(span.isCausal ? row + 1 : first + piece.blockSize)
    }

    private func tiles(_ pieces: [Piece], isBackward: Bool, in workspace: Workspace) -> [Tile] {
        let rows = pieces.map(\.rows.count).max() ?? 0
        let (width, ownWidth) = (rounded(pieces.map(\.seen.count).max() ?? 0), rounded(rows))
        return (0..<workspace.compute.threads).map { _ in
            Tile(
                context: workspace.matrix(rows: rows, columns: width),
                own: workspace.matrix(rows: rows, columns: ownWidth),
                dContext: workspace.matrix(rows: isBackward ? rows : 0, columns: width),
                dOwn: workspace.matrix(rows: isBackward ? rows : 0, columns: ownWidth),
                softmax: StreamingSoftmax(rows: rows, in: workspace))
        }
    }

    /// Floats of all threads' tiles in the backward pass.
    func floats(_ segments: [Segment], _ compute: Compute) -> Int {
        let pieces = segments.flatMap(pieces)
        let rows = pieces.map(\.rows.count).max() ?? 0
        return compute.threads * rows * (2 * (rounded(pieces.map(\.seen.count).max() ?? 0) + rounded(rows)) + 2)
    }

    private func rounded(_ count: Int) -> Int { (count + 15) & ~15 }

    // MARK: Products

    /// The scaled scores of a piece's rows with its context and with each other.
    private func scores(
        _ piece: Piece, _ head: Int, _ q: Matrix, _ keys: Matrix, _ ownKeys: Matrix, _ tile: Tile
    ) -> (context: Matrix, own: Matrix) {
        let (queries, columns) = (q[rows: piece.rows][columns: columns(head)], columns(keyValueHead(head)))
        let context = tile.context[rows: 0..<queries.rows][columns: 0..<piece.seen.count]
        let own = tile.own[rows: 0..<queries.rows][columns: 0..<queries.rows]
        product(queries, transposed: keys[rows: piece.context][columns: columns], into: context, scale: scale)
        product(queries, transposed: ownKeys[rows: piece.rows][columns: columns], into: own, scale: scale)
        return (context, own)
    }

    /// Replaces the gradient of probabilities by that of scores.
    @inline(__always) private func scoreGradient(
        _ p: UnsafeMutablePointer<Float>, _ dP: UnsafeMutablePointer<Float>, _ count: Int, minus d: Float
    ) {
        for j in stride(from: 0, to: count, by: 16) {
            dP.store(p.load(j, of: count) * (dP.load(j, of: count) - d) * scale, j, of: count)
        }
    }

    private func product(_ a: Matrix, _ b: Matrix, into c: Matrix, accumulate: Bool = false) {
        BLAS.product(a, transposed: false, b, transposed: false, into: c, accumulate: accumulate)
    }

    private func product(_ a: Matrix, transposed b: Matrix, into c: Matrix, scale: Float = 1) {
        BLAS.product(a, transposed: false, b, transposed: true, into: c, scale: scale, accumulate: false)
    }

    private func product(transposed a: Matrix, _ b: Matrix, addTo c: Matrix) {
        BLAS.product(a, transposed: true, b, transposed: false, into: c, accumulate: true)
    }
}
