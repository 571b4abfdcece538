/// The backward pass of attention.
extension Attention {
    /// Writes the gradient of q, and adds to the gradients of all keys and values.
    ///
    /// - Parameters:
    ///   - dO: The gradient of o.
    ///   - dPrefix: Gradients of step 0's keys and values, shaped as they are.
    ///   - dOwn: Gradients of later steps' keys and values.
    func backward(
        _ dO: Matrix, q: Matrix, o: Matrix, logSumExp: Matrix, prefix: KeyValue, visible: [Int32], own: [KeyValue],
        segments: [Segment], into dQ: Matrix, dPrefix: KeyValue, dOwn: [KeyValue], in workspace: Workspace
    ) {
        let groups = groups
        let (splits, size) = Self.splits(
            longest: segments.map(\.queries.count).max() ?? 0, segments.count, groups.count)
        let blocks = segments.map { self.blocks(of: [$0], visible, size) }
        let divided = blocks.map { KeyValueParts.divide($0, into: splits) { $0.rows.count * $0.keys.count } }
        workspace.scope {
            let (queries, gradient) = (Operand(q, precision, in: workspace), Operand(dO, precision, in: workspace))
            let operands = AttentionOperands(prefix, precision, in: workspace)
            let tiles = AttentionTile.forThreads(
                segments, ownCount: own.count, isBackward: true, precision, in: workspace)
            let parts = KeyValueParts(splits, like: dPrefix, in: workspace)
            func rows(_ block: Block, _ head: Int) -> Rows {
                Rows(
                    queries: q[rows: block.rows][columns: columns(head)],
                    gradient: dO[rows: block.rows][columns: columns(head)],
                    output: o[rows: block.rows][columns: columns(head)],
                    logSumExp: logSumExp.row(head) + block.rows.lowerBound,
                    dQueries: dQ[rows: block.rows][columns: columns(head)],
                    rounded: (
                        queries[rows: block.rows][columns: columns(head)],
                        gradient[rows: block.rows][columns: columns(head)]
                    ))
            }
            workspace.compute.forEach(segments.count * groups.count * splits) { index, worker in
                let (split, group, segment) = (
                    index % splits, index / splits % groups.count, index / splits / groups.count
                )
                // What a part had before is overwritten by its first block, which sees the most keys.
                var isFirst = splits > 1
                for block in divided[segment][split] {
                    for head in groups[group] {
                        backward(
                            rows(block, head), block, head, operands, visible, parts[split] ?? dPrefix,
                            accumulate: !isFirst, tiles[worker])
                        isFirst = false
                    }
                }
            }
            let owners = own.isEmpty ? 0 : groups.count
            let all = blocks.flatMap { $0 }
            workspace.compute.forEach(all.count * owners) { index, worker in
                let block = all[index / owners]
                for head in groups[index % owners] {
                    ownBackward(rows(block, head), block, head, own, dOwn, tiles[worker])
                }
            }
            for (segment, divided) in zip(segments, divided) {
                parts.add(seen: divided.map { $0.first?.keys.count ?? 0 }, segment.keys, to: dPrefix)
            }
        }
    }

    /// Query heads by the key/value head that they share.
    private var groups: [[Int]] {
        Dictionary(grouping: 0..<numHeads) { keyValueHead[$0] }.sorted { $0.key < $1.key }.map(\.value)
    }

    /// How many parts the blocks of a sequence are divided into (`KeyValueParts`), and the rows of a block: half as many
    /// where that makes parts for more threads.
    static func splits(longest: Int, _ sequences: Int, _ keyValueHeads: Int) -> (count: Int, rows: Int) {
        let wanted = KeyValueParts.wanted(sequences, keyValueHeads)
        let possible = { (rows: Int) in KeyValueParts.possible((longest + rows - 1) / rows) }
        let rows = possible(AttentionTile.rows) >= wanted ? AttentionTile.rows : AttentionTile.rows / 2
        return (min(wanted, possible(rows)), rows)
    }

    /// What a block's rows of one head have, [rows, headDim] each.
    private struct Rows {
        let queries: Matrix
        let gradient: Matrix
        let output: Matrix
        let logSumExp: UnsafeMutablePointer<Float>
        let dQueries: Matrix
        /// Queries and gradient as operands.
        let rounded: (queries: Operand, gradient: Operand)
    }

    /// Step 0's keys and values; begins the gradient of the queries.
    private func backward(
        _ rows: Rows, _ block: Block, _ head: Int, _ operands: AttentionOperands, _ visible: [Int32],
        _ dPrefix: KeyValue, accumulate: Bool, _ tile: AttentionTile
    ) {
        let columns = keyValueColumns(head)
        for part in block.parts {
            let positions = block.positions(part)
            let p = tile.p[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            let dP = tile.dP[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            let pOperand = tile.rounded.p[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            let dPOperand = tile.rounded.dP[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            let (keys, values) = operands[positions, columns]
            BLAS.product(rows.rounded.queries, transposed: false, keys, transposed: true, into: p, scale: scale)
            BLAS.product(rows.rounded.gradient, transposed: false, values, transposed: true, into: dP)
            // p becomes the probabilities, dP becomes scale · ds.
            for (i, row) in block.rows.enumerated() {
                let (pRow, dPRow) = (p.row(i), dP.row(i))
                _ = pRow.exponentiate(part.count, seen: part.seen(visible[row]), minus: rows.logSumExp[i])
                let d = Vector(repeating: dot(rows.gradient.row(i), rows.output.row(i), headDim))
                for j in stride(from: 0, to: part.count, by: 16) {
                    let ds = pRow.load(j, of: part.count) * (dPRow.load(j, of: part.count) - d) * scale
                    dPRow.store(ds, j, of: part.count)
                }
                pOperand.round(i, of: p, part.count)
                dPOperand.round(i, of: dP, part.count)
            }
            let (dKeys, dValues) = (
                dPrefix.keys[rows: positions][columns: columns], dPrefix.values[rows: positions][columns: columns]
            )
            BLAS.product(
                pOperand, transposed: true, rows.rounded.gradient, transposed: false, into: dValues,
                accumulate: accumulate)
            BLAS.product(
                dPOperand, transposed: true, rows.rounded.queries, transposed: false, into: dKeys,
                accumulate: accumulate)
            BLAS.product(
                dPOperand, transposed: false, keys, transposed: false, into: rows.dQueries,
                accumulate: part.lowerBound > 0)
        }
    }

    /// Each row's keys and values of later steps.
    private func ownBackward(
        _ rows: Rows, _ block: Block, _ head: Int, _ own: [KeyValue], _ dOwn: [KeyValue], _ tile: AttentionTile
    ) {
        let columns = keyValueColumns(head)
        ownScores(rows.queries, own, block, head, into: tile.own)
        for (i, row) in block.rows.enumerated() {
            let (p, gradient) = (tile.own.row(i), rows.gradient.row(i))
            _ = p.exponentiate(own.count, seen: 0..<own.count, minus: rows.logSumExp[i])
            let d = dot(gradient, rows.output.row(i), headDim)
            for step in own.indices {
                let keyValue = own[step]
                let ds = p[step] * (dot(gradient, keyValue.values[columns: columns].row(row), headDim) - d) * scale
                add(ds, keyValue.keys[columns: columns].row(row), to: rows.dQueries.row(i), headDim)
                add(ds, rows.queries.row(i), to: dOwn[step].keys[columns: columns].row(row), headDim)
                add(p[step], gradient, to: dOwn[step].values[columns: columns].row(row), headDim)
            }
        }
    }
}
