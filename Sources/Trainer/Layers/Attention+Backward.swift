/// The way back through attention.
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
            let tiles = AttentionTile.forThreads(segments, ownCount: own.count, isBackward: true, in: workspace)
            let hasSeconds = segments.contains { $0.queries.count > AttentionTile.rows }
            let seconds = [dPrefix.keys, dPrefix.values].map {
                workspace.zeros(rows: hasSeconds ? $0.rows : 0, columns: $0.columns)
            }
            let halves = [dPrefix, KeyValue(keys: seconds[0], values: seconds[1])]
            Parallel.forEach(segments.count * groups.count * 2) { index, worker in
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
                            dQueries: dQ[rows: block.rows][columns: columns(head)])
                        backward(rows, block, head, prefix, visible, halves[half], tiles[worker])
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
    }

    /// Step 0's keys and values; begins the gradient of the queries.
    private func backward(
        _ rows: Rows, _ block: Block, _ head: Int, _ prefix: KeyValue, _ visible: [Int32], _ dPrefix: KeyValue,
        _ tile: AttentionTile
    ) {
        let columns = keyValueColumns(head)
        for part in block.parts {
            let places = block.places(part)
            let p = tile.p[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            let dP = tile.dP[rows: 0..<rows.queries.rows][columns: 0..<part.count]
            scores(rows.queries, prefix, part, block, head, into: p)
            BLAS.product(rows.gradient, transposed: prefix.values[rows: places][columns: columns], into: dP)
            // p becomes the probabilities, dP becomes scale · ds.
            for (i, row) in block.rows.enumerated() {
                let (p, dP) = (p.row(i), dP.row(i))
                _ = p.exponentiate(part.count, seen: part.seen(visible[row]), minus: rows.logSumExp[i])
                let d = Vector(repeating: dot(rows.gradient.row(i), rows.output.row(i), headDim))
                for j in stride(from: 0, to: part.count, by: 16) {
                    let ds = p.load(j, of: part.count) * (dP.load(j, of: part.count) - d) * scale
                    dP.store(ds, j, of: part.count)
                }
            }
            BLAS.product(
                transposed: p, rows.gradient, into: dPrefix.values[rows: places][columns: columns], accumulate: true)
            BLAS.product(
                transposed: dP, rows.queries, into: dPrefix.keys[rows: places][columns: columns], accumulate: true)
            BLAS.product(
                dP, prefix.keys[rows: places][columns: columns], into: rows.dQueries, accumulate: part.lowerBound > 0)
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
