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
        // One thread has all query heads of a key/value head, so that no two add to the same gradient; and of a
        // sequence's blocks every second one, which add to gradients of their own, so that few heads divide evenly too.
        let groups = Dictionary(grouping: 0..<numHeads) { keyValueHead[$0] }.sorted { $0.key < $1.key }.map(\.value)
        workspace.scope {
            let (queries, gradient) = (Operand(q, precision, in: workspace), Operand(dO, precision, in: workspace))
            let operands = AttentionOperands(prefix, precision, in: workspace)
            let tiles = AttentionTile.forThreads(
                segments, ownCount: own.count, isBackward: true, precision, in: workspace)
            let hasSeconds = segments.contains { $0.queries.count > AttentionTile.rows }
            let seconds = [dPrefix.keys, dPrefix.values].map {
                workspace.zeros(rows: hasSeconds ? $0.rows : 0, columns: $0.columns)
            }
            let halves = [dPrefix, KeyValue(keys: seconds[0], values: seconds[1])]
            workspace.compute.forEach(segments.count * groups.count * 2) { index, worker in
                let (half, group, segment) = (index % 2, index / 2 % groups.count, index / 2 / groups.count)
                let blocks = blocks(of: [segments[segment]], visible)
                for number in stride(from: half, to: blocks.count, by: 2) {
                    let block = blocks[number]
                    for head in groups[group] {
                        let rows = Rows(
                            queries: q[rows: block.rows][columns: columns(head)],
                            gradient: dO[rows: block.rows][columns: columns(head)],
                            output: o[rows: block.rows][columns: columns(head)],
                            logSumExp: logSumExp.row(head) + block.rows.lowerBound,
                            dQueries: dQ[rows: block.rows][columns: columns(head)],
                            rounded: (
                                queries[rows: block.rows][columns: columns(head)],
                                gradient[rows: block.rows][columns: columns(head)]
                            ))
                        backward(rows, block, head, operands, visible, halves[half], tiles[worker])
                        ownBackward(rows, block, head, own, dOwn, tiles[worker])
                    }
                }
            }
            guard hasSeconds else { return }
            dPrefix.keys.add(seconds[0])
            dPrefix.values.add(seconds[1])
        }
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
        _ dPrefix: KeyValue, _ tile: AttentionTile
    ) {
        let columns = keyValueColumns(head)
        for part in block.parts {
            let places = block.places(part)
            let p = tile.p[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            let dP = tile.dP[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            let pOperand = tile.rounded.p[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            let dPOperand = tile.rounded.dP[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            let (keys, values) = operands[places, columns]
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
                dPrefix.keys[rows: places][columns: columns], dPrefix.values[rows: places][columns: columns]
            )
            BLAS.product(
                pOperand, transposed: true, rows.rounded.gradient, transposed: false, into: dValues, accumulate: true)
            BLAS.product(
                dPOperand, transposed: true, rows.rounded.queries, transposed: false, into: dKeys, accumulate: true)
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
