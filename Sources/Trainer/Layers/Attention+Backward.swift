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
        let divided = blocks.map { Self.divide($0, into: splits) }
        workspace.scope {
            let (queries, gradient) = (Operand(q, precision, in: workspace), Operand(dO, precision, in: workspace))
            let operands = AttentionOperands(prefix, precision, in: workspace)
            let tiles = AttentionTile.forThreads(
                segments, ownCount: own.count, isBackward: true, precision, in: workspace)
            let parts = (0..<(splits > 1 ? splits : 0)).map { _ in
                KeyValue(
                    keys: workspace.matrix(rows: dPrefix.keys.rows, columns: dPrefix.keys.columns),
                    values: workspace.matrix(rows: dPrefix.values.rows, columns: dPrefix.values.columns))
            }
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
                            rows(block, head), block, head, operands, visible, splits > 1 ? parts[split] : dPrefix,
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
            for (segment, divided) in zip(segments, divided) where splits > 1 {
                addParts(parts, seen: divided.map { $0.first?.keys.count ?? 0 }, segment.keys, to: dPrefix)
            }
        }
    }

    /// Query heads by the key/value head that they share.
    private var groups: [[Int]] {
        Dictionary(grouping: 0..<numHeads) { keyValueHead[$0] }.sorted { $0.key < $1.key }.map(\.value)
    }

    /// About how many pieces a batch's backward pass is cut into: as many threads have something to do.
    private static let pieces = 64

    /// How many parts the blocks of a sequence are divided into, which add to gradients of their own: with them, all
    /// query heads of a key/value head are a piece of work, so that no two add to the same gradient.
    ///
    /// It follows from the batch alone, and so do the sums, whatever the number of threads.
    ///
    /// - Returns: The number of parts, each of one and a half blocks on average, and the rows of a block: half as many
    ///   where that makes parts for more threads.
    static func splits(longest: Int, _ sequences: Int, _ keyValueHeads: Int) -> (count: Int, rows: Int) {
        let wanted = max(1, pieces / max(1, sequences * keyValueHeads))
        let possible = { (rows: Int) in max(1, (longest + rows - 1) / rows * 2 / 3) }
        let rows = possible(AttentionTile.rows) >= wanted ? AttentionTile.rows : AttentionTile.rows / 2
        return (min(wanted, possible(rows)), rows)
    }

    /// Divides a sequence's blocks into parts that take about as long, each block to the part that has the least yet:
    /// the longest first, which see the most keys, so that a part's first block has all the keys of its others.
    private static func divide(_ blocks: [Block], into count: Int) -> [[Block]] {
        var parts = [[Block]](repeating: [], count: count)
        var pairs = [Int](repeating: 0, count: count)
        for block in blocks.reversed() {
            let part = pairs.indices.reduce(0) { pairs[$1] < pairs[$0] ? $1 : $0 }
            parts[part].append(block)
            pairs[part] += block.rows.count * block.keys.count
        }
        return parts
    }

    /// Adds the parts' gradients of a sequence's keys and values, in order.
    ///
    /// - Parameter seen: How many keys of the sequence each part has gradients of.
    private func addParts(_ parts: [KeyValue], seen: [Int], _ keys: Range<Int>, to sum: KeyValue) {
        let width = sum.keys.columns
        sum.keys.compute.rows(keys.count, of: 2 * width * parts.count) { range in
            for key in range {
                let row = keys.lowerBound + key
                for (part, seen) in zip(parts, seen) where key < seen {
                    add(1, part.keys.row(row), to: sum.keys.row(row), width)
                    add(1, part.values.row(row), to: sum.values.row(row), width)
                }
            }
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
