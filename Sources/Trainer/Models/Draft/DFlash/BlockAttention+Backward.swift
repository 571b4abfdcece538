/// The backward pass of attention of blocks. With D = do·o and p from the stored log-sum-exp:
///
///     ds = p (do·v − D)      dv += p do
///     dq = scale Σ ds key    dkey += scale ds q
extension BlockAttention {
    /// Writes the gradient of q, and adds to the gradients of all keys and values.
    func backward(
        _ dO: Matrix, q: Matrix, o: Matrix, logSumExp: Matrix, context: Attention.KeyValue, own: Attention.KeyValue,
        _ segments: [Segment], into dQ: Matrix, dContext: Attention.KeyValue, dOwn: Attention.KeyValue,
        in workspace: Workspace
    ) {
        let pieces = segments.map(pieces)
        let splits = splits(pieces)
        let divided = pieces.map { KeyValueParts.divide($0, into: splits) { $0.rows.count * $0.seen.count } }
        workspace.scope {
            let operands = Operands(
                queries: Operand(q, precision, in: workspace),
                context: AttentionOperands(context, precision, in: workspace),
                own: AttentionOperands(own, precision, in: workspace))
            let gradient = Operand(dO, precision, in: workspace)
            let tiles = tiles(pieces.flatMap { $0 }, isBackward: true, in: workspace)
            let parts = KeyValueParts(splits, like: dContext, in: workspace)
            let groups = shape.numKeyValueHeads
            let heads = shape.numAttentionHeads / groups
            workspace.compute.forEach(segments.count * groups * splits) { index, worker in
                let (split, group, segment) = (index % splits, index / splits % groups, index / splits / groups)
                let mine = divided[segment][split]
                if let part = parts[split], let piece = mine.first {
                    clear(part, Self.keys(of: piece, segments[segment]), columns(group))
                }
                for piece in mine {
                    for head in group * heads..<(group + 1) * heads {
                        let rows = Rows(
                            gradient: dO[rows: piece.rows][columns: columns(head)],
                            output: o[rows: piece.rows][columns: columns(head)],
                            logSumExp: logSumExp.row(head) + piece.rows.lowerBound,
                            dQueries: dQ[rows: piece.rows][columns: columns(head)],
                            queries: operands.queries[rows: piece.rows][columns: columns(head)],
                            rounded: gradient[rows: piece.rows][columns: columns(head)])
                        ownBackward(rows, piece, columns(group), operands, dOwn, tiles[worker])
                        contextBackward(rows, piece, columns(group), operands, parts[split] ?? dContext, tiles[worker])
                    }
                }
            }
            for (segment, divided) in zip(segments, divided) {
                parts.add(seen: divided.map { $0.first?.seen.upperBound ?? 0 }, segment.context, to: dContext)
            }
        }
    }

    /// How many parts the pieces of a sequence are divided into.
    func splits(_ pieces: [[Piece]]) -> Int {
        min(
            KeyValueParts.wanted(pieces.count, shape.numKeyValueHeads),
            KeyValueParts.possible(pieces.map(\.count).max() ?? 0))
    }

    /// All context up to the last that a piece sees.
    private static func keys(of piece: Piece, _ segment: Segment) -> Range<Int> {
        segment.context.lowerBound..<segment.context.lowerBound + piece.seen.upperBound
    }

    private func clear(_ sum: Attention.KeyValue, _ rows: Range<Int>, _ columns: Range<Int>) {
        for matrix in [sum.keys, sum.values] {
            let columns = matrix[columns: columns]
            for row in rows { columns.row(row).update(repeating: 0, count: columns.columns) }
        }
    }

    /// What a piece's rows of one head have, [rows, headDim] each.
    private struct Rows {
        let gradient: Matrix
        let output: Matrix
        let logSumExp: UnsafeMutablePointer<Float>
        let dQueries: Matrix
        let queries: Operand
        /// The gradient as an operand.
        let rounded: Operand
    }

    /// Keys and values of the piece's own rows; begins the gradient of the queries.
    private func ownBackward(
        _ rows: Rows, _ piece: Piece, _ columns: Range<Int>, _ operands: Operands, _ dOwn: Attention.KeyValue,
        _ tile: Tile
    ) {
        let count = rows.output.rows
        let scores = tile.own[rows: count, columns: count]
        let (keys, values) = operands.own[piece.rows, columns]
        scoreGradients(rows, keys, values, scores) { ownSeen($0, piece) }
        let sums = Attention.KeyValue(
            keys: dOwn.keys[rows: piece.rows][columns: columns], values: dOwn.values[rows: piece.rows][columns: columns]
        )
        addGradients(rows, keys, scores, to: sums, accumulate: false)
    }

    private func contextBackward(
        _ rows: Rows, _ piece: Piece, _ columns: Range<Int>, _ operands: Operands, _ sum: Attention.KeyValue,
        _ tile: Tile
    ) {
        for part in piece.parts {
            let positions = piece.positions(part)
            let scores = tile.context[rows: rows.output.rows, columns: part.count]
            let (keys, values) = operands.context[positions, columns]
            scoreGradients(rows, keys, values, scores) { seen($0, piece, part) }
            let sums = Attention.KeyValue(
                keys: sum.keys[rows: positions][columns: columns], values: sum.values[rows: positions][columns: columns]
            )
            addGradients(rows, keys, scores, to: sums, accumulate: true)
        }
    }

    /// Makes the probabilities and the gradients of scores, times `scale`, of some keys.
    ///
    /// - Parameter seen: Which of them a row sees.
    @inline(__always) private func scoreGradients(
        _ rows: Rows, _ keys: Operand, _ values: Operand, _ scores: Scores, seen: (Int) -> Range<Int>
    ) {
        BLAS.product(rows.queries, transposed: false, keys, transposed: true, into: scores.p, scale: scale)
        BLAS.product(rows.rounded, transposed: false, values, transposed: true, into: scores.dP)
        let count = scores.p.columns
        for i in 0..<scores.p.rows {
            let (p, dP) = (scores.p.row(i), scores.dP.row(i))
            _ = p.exponentiate(count, seen: seen(i), minus: rows.logSumExp[i])
            let d = Vector(repeating: dot(rows.gradient.row(i), rows.output.row(i), shape.headDim))
            for j in stride(from: 0, to: count, by: 16) {
                dP.store(p.load(j, of: count) * (dP.load(j, of: count) - d) * scale, j, of: count)
            }
            scores.rounded.p.round(i, of: scores.p, count)
            scores.rounded.dP.round(i, of: scores.dP, count)
        }
    }

    /// - Parameter accumulate: Whether the gradient of the queries has begun.
    private func addGradients(
        _ rows: Rows, _ keys: Operand, _ scores: Scores, to sums: Attention.KeyValue, accumulate: Bool
    ) {
        BLAS.product(
            scores.rounded.p, transposed: true, rows.rounded, transposed: false, into: sums.values, accumulate: true)
        BLAS.product(
            scores.rounded.dP, transposed: true, rows.queries, transposed: false, into: sums.keys, accumulate: true)
        BLAS.product(
            scores.rounded.dP, transposed: false, keys, transposed: false, into: rows.dQueries, accumulate: accumulate)
    }
}
