/// Attention of blocks: each row sees the context before its block's anchor, and rows of its own block.
///
/// With s = scale · q·key over both, p = softmax(s):
///
///     o = Σ p v
///
/// Neighbouring blocks of a sequence are worked on together, up to 128 rows: their scores with each other, of which each
/// row's own are kept, and with the context that the last of them sees, a tile at a time, which stays in the cache.
struct BlockAttention {
    let shape: BlockShape
    let span: BlockShape.Span
    /// What the operands of products are rounded to; sums are float32.
    let precision: MatrixPrecision

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
    struct Piece {
        let rows: Range<Int>
        /// Of each block.
        let anchors: ArraySlice<Int>
        /// The context that any of them sees, counted within the sequence.
        let seen: Range<Int>
        /// The same among all context.
        let context: Range<Int>
        /// Rows of each block.
        let blockSize: Int

        /// Its context in parts of a tile's width, counted from the first that is seen.
        var parts: [Range<Int>] {
            stride(from: 0, to: seen.count, by: AttentionTile.keys).map {
                $0..<min($0 + AttentionTile.keys, seen.count)
            }
        }

        /// Where a part is among all context.
        func positions(_ part: Range<Int>) -> Range<Int> {
            context.lowerBound + part.lowerBound..<context.lowerBound + part.upperBound
        }
    }

    /// Queries, and keys and values of the context and of the rows, as operands.
    struct Operands {
        let queries: Operand
        let context: AttentionOperands
        let own: AttentionOperands
    }

    /// A thread's memory: scores with a part of the context and with the piece's own rows, and their gradients.
    struct Tile {
        let context: Scores
        let own: Scores
        let softmax: StreamingSoftmax
    }

    /// Scores and what becomes of them, in float32 and as operands.
    struct Scores {
        let p: Matrix
        let dP: Matrix
        let rounded: (p: Operand, dP: Operand)

        init(rows: Int, columns: Int, isBackward: Bool, _ precision: MatrixPrecision, in workspace: Workspace) {
            p = workspace.matrix(rows: rows, columns: columns)
            dP = workspace.matrix(rows: isBackward ? rows : 0, columns: columns)
            rounded = (Operand(of: p, precision, in: workspace), Operand(of: dP, precision, in: workspace))
        }

        private init(_ other: Scores, rows: Int, columns: Int) {
            func part(_ matrix: Matrix) -> Matrix {
                matrix.rows == 0 ? matrix : matrix[rows: 0..<rows][columns: 0..<columns]
            }
            (p, dP) = (part(other.p), part(other.dP))
            rounded = (
                other.rounded.p[rows: 0..<rows][columns: 0..<columns],
                other.dP.rows == 0 ? other.rounded.dP : other.rounded.dP[rows: 0..<rows][columns: 0..<columns]
            )
        }

        /// The first rows and columns.
        subscript(rows rows: Int, columns columns: Int) -> Scores { Scores(self, rows: rows, columns: columns) }
    }

    var scale: Float { 1 / Float(shape.headDim).squareRoot() }

    func keyValueHead(_ head: Int) -> Int { head / (shape.numAttentionHeads / shape.numKeyValueHeads) }

    func columns(_ head: Int) -> Range<Int> { head * shape.headDim..<(head + 1) * shape.headDim }

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
            let operands = Operands(
                queries: Operand(q, precision, in: workspace),
                context: AttentionOperands(context, precision, in: workspace),
                own: AttentionOperands(own, precision, in: workspace))
            let tiles = tiles(pieces, isBackward: false, in: workspace)
            workspace.compute.forEach(pieces.count * shape.numAttentionHeads) { index, worker in
                // The last pieces see the most: they come first, so that threads end together.
                let piece = pieces[pieces.count - 1 - index / shape.numAttentionHeads]
                let head = index % shape.numAttentionHeads
                let output = o[rows: piece.rows][columns: columns(head)]
                forward(piece, head, operands, into: output, tiles[worker])
                let softmax = tiles[worker].softmax
                for (i, row) in piece.rows.enumerated() {
                    Trainer.scale(output.row(i), by: 1 / softmax.sum(i), output.columns)
                    logSumExp[head, row] = softmax.logSumExp(i)
                }
            }
        }
    }

    /// One head of a piece, its output not divided by the sums of exponentials.
    private func forward(_ piece: Piece, _ head: Int, _ operands: Operands, into output: Matrix, _ tile: Tile) {
        let (queries, shared) = (
            operands.queries[rows: piece.rows][columns: columns(head)], columns(keyValueHead(head))
        )
        let own = tile.own[rows: output.rows, columns: output.rows]
        let (ownKeys, ownValues) = operands.own[piece.rows, shared]
        BLAS.product(queries, transposed: false, ownKeys, transposed: true, into: own.p, scale: scale)
        for i in 0..<output.rows {
            tile.softmax.begin(i)
            _ = tile.softmax.add(own.p.row(i), own.p.columns, seen: ownSeen(i, piece), to: i)
            own.rounded.p.round(i, of: own.p, own.p.columns)
        }
        BLAS.product(own.rounded.p, transposed: false, ownValues, transposed: false, into: output)
        for part in piece.parts {
            let scores = tile.context[rows: output.rows, columns: part.count]
            let (keys, values) = operands.context[piece.positions(part), shared]
            BLAS.product(queries, transposed: false, keys, transposed: true, into: scores.p, scale: scale)
            for i in 0..<output.rows {
                let shrink = tile.softmax.add(scores.p.row(i), part.count, seen: seen(i, piece, part), to: i)
                if shrink != 1 { Trainer.scale(output.row(i), by: shrink, output.columns) }
                scores.rounded.p.round(i, of: scores.p, part.count)
            }
            BLAS.product(
                scores.rounded.p, transposed: false, values, transposed: false, into: output, accumulate: true)
        }
    }

    // MARK: Pieces

    func pieces(_ segment: Segment) -> [Piece] {
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

    /// Which of a part of a piece's context a row sees, counted within the part.
    func seen(_ row: Int, _ piece: Piece, _ part: Range<Int>) -> Range<Int> {
        let anchor = piece.anchors[piece.anchors.startIndex + row / piece.blockSize]
        let seen = (firstSeen(anchor) - piece.seen.lowerBound..<anchor - piece.seen.lowerBound).clamped(to: part)
        return seen.lowerBound - part.lowerBound..<seen.upperBound - part.lowerBound
    }

    /// Which of a piece's rows a row sees.
    func ownSeen(_ row: Int, _ piece: Piece) -> Range<Int> {
        let first = row / piece.blockSize * piece.blockSize
        return first..<(span.isCausal ? row + 1 : first + piece.blockSize)
    }

    // MARK: Memory

    func tiles(_ pieces: [Piece], isBackward: Bool, in workspace: Workspace) -> [Tile] {
        let size = tileSize(pieces)
        func scores(_ columns: Int) -> Scores {
            Scores(rows: size.rows, columns: columns, isBackward: isBackward, precision, in: workspace)
        }
        return (0..<workspace.compute.threads).map { _ in
            Tile(
                context: scores(size.context), own: scores(size.own),
                softmax: StreamingSoftmax(rows: size.rows, in: workspace))
        }
    }

    private func tileSize(_ pieces: [Piece]) -> (rows: Int, context: Int, own: Int) {
        let rounded = { (count: Int) in (count + 15) & ~15 }
        let rows = pieces.map(\.rows.count).max() ?? 0
        return (rows, rounded(min(pieces.map(\.seen.count).max() ?? 0, AttentionTile.keys)), rounded(rows))
    }

    /// Elements of the workspace that the backward pass takes.
    ///
    /// - Parameters:
    ///   - rows: Of all segments.
    ///   - context: Rows of their context.
    func elements(_ segments: [Segment], rows: Int, context: Int, _ compute: Compute) -> Int {
        let pieces = segments.map(pieces)
        let tile = tileSize(pieces.flatMap { $0 })
        let scores = [tile.context, tile.own].map { columns in
            2 * tile.rows * columns + 2 * Operand.floats(rows: tile.rows, columns: columns, precision)
        }
        let (q, kv) = (shape.queryWidth, shape.keyValueWidth)
        let operands = [(rows, q), (rows, q), (rows, kv), (rows, kv), (context, kv), (context, kv)]
        let rounded = operands.map { Operand.floats(rows: $0.0, columns: $0.1, precision) }.reduce(0, +)
        return compute.threads * (scores.reduce(0, +) + 2 * tile.rows) + rounded
            + KeyValueParts.elements(splits(pieces), rows: context, width: kv)
    }
}
