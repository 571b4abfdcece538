import Glibc

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
/// The probabilities are computed anew from the stored log-sum-exp, a block of rows at a time, so memory is linear in
/// the rows. Keys and values of one step are read by every later one, so their gradients add up and are complete when
/// the walk back reaches the step that made them.
struct Attention {
    let numHeads: Int
    let headDim: Int
    /// The key/value head that each query head reads, counted within this rank's.
    let keyValueHead: [Int]
    let scale: Float

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

    /// Rows of queries that are worked on at a time.
    static let blockRows = 128

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
            let scratch = scratch(segments, ownCount: own.count, in: workspace)
            // The last blocks see the most keys: they come first, so that threads end together.
            Parallel.forEach(blocks.count * numHeads) { index, worker in
                let (block, head) = (blocks[blocks.count - 1 - index / numHeads], index % numHeads)
                let p = scores(q, prefix, own, block, head, in: scratch[worker].start)
                let keyCount = block.keys.count
                for (i, row) in block.rows.enumerated() {
                    let (s, visibleKeys) = (p.row(i), Int(visible[row]))
                    let largest = Swift.max(maximum(s, visibleKeys), maximum(s + keyCount, own.count))
                    let sum = exponentiate(s, p.columns, visibleKeys, own.count, minus: largest)
                    logSumExp[head, row] = largest + logf(sum)
                    let factor = Vector(repeating: 1 / sum)
                    for j in stride(from: 0, to: p.columns, by: 16) {
                        s.store(s.load(j, of: p.columns) * factor, j, of: p.columns)
                    }
                }
                let output = o[rows: block.rows][columns: columns(head)]
                let values = prefix.values[rows: block.keys][columns: keyValueColumns(head)]
                BLAS.product(p[columns: 0..<keyCount], values, into: output)
                for (step, keyValue) in own.enumerated() {
                    let values = keyValue.values[columns: keyValueColumns(head)]
                    for (i, row) in block.rows.enumerated() {
                        add(p[i, keyCount + step], values.row(row), to: output.row(i), headDim)
                    }
                }
            }
        }
    }

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
            let forP = scratch(segments, ownCount: own.count, in: workspace)
            let forDP = scratch(segments, ownCount: own.count, in: workspace)
            let hasSeconds = segments.contains { $0.queries.count > Self.blockRows }
            let seconds = [dPrefix.keys, dPrefix.values].map {
                workspace.zeros(rows: hasSeconds ? $0.rows : 0, columns: $0.columns)
            }
            let halves = [dPrefix, KeyValue(keys: seconds[0], values: seconds[1])]
            Parallel.forEach(segments.count * groups.count * 2) { index, worker in
                let (half, group, segment) = (index % 2, index / 2 % groups.count, index / 2 / groups.count)
                let blocks = blocks(of: [segments[segment]], visible)
                for block in stride(from: half, to: blocks.count, by: 2).map({ blocks[$0] }) {
                    for head in groups[group] {
                        backward(
                            block, head, dO, q, o, logSumExp, prefix, visible, own, dQ, halves[half], dOwn,
                            scratch: (forP[worker].start, forDP[worker].start))
                    }
                }
            }
            guard hasSeconds else { return }
            dPrefix.keys.add(seconds[0])
            dPrefix.values.add(seconds[1])
        }
    }

    /// One block of rows of one head.
    private func backward(
        _ block: Block, _ head: Int, _ dO: Matrix, _ q: Matrix, _ o: Matrix, _ logSumExp: Matrix, _ prefix: KeyValue,
        _ visible: [Int32], _ own: [KeyValue], _ dQ: Matrix, _ dPrefix: KeyValue, _ dOwn: [KeyValue],
        scratch: (p: UnsafeMutablePointer<Float>, dP: UnsafeMutablePointer<Float>)
    ) {
        let p = scores(q, prefix, own, block, head, in: scratch.p)
        let dP = Matrix(start: scratch.dP, rows: p.rows, columns: p.columns)
        let (columns, keyColumns) = (columns(head), keyValueColumns(head))
        let queries = q[rows: block.rows][columns: columns]
        let gradient = dO[rows: block.rows][columns: columns]
        let output = o[rows: block.rows][columns: columns]
        let dQueries = dQ[rows: block.rows][columns: columns]
        let keyCount = block.keys.count
        let (keys, values) = (
            prefix.keys[rows: block.keys][columns: keyColumns], prefix.values[rows: block.keys][columns: keyColumns]
        )
        BLAS.product(gradient, transposed: values, into: dP[columns: 0..<keyCount])
        for (step, keyValue) in own.enumerated() {
            let values = keyValue.values[columns: keyColumns]
            for (i, row) in block.rows.enumerated() {
                dP[i, keyCount + step] = dot(gradient.row(i), values.row(row), headDim)
            }
        }
        // p becomes the probabilities, dP becomes scale · ds.
        for (i, row) in block.rows.enumerated() {
            _ = exponentiate(p.row(i), p.columns, Int(visible[row]), own.count, minus: logSumExp[head, row])
            let d = Vector(repeating: dot(gradient.row(i), output.row(i), headDim))
            for j in stride(from: 0, to: p.columns, by: 16) {
                let value = p.row(i).load(j, of: p.columns) * (dP.row(i).load(j, of: p.columns) - d) * scale
                dP.row(i).store(value, j, of: p.columns)
            }
        }
        let (prefixP, prefixDS) = (p[columns: 0..<keyCount], dP[columns: 0..<keyCount])
        let (dKeys, dValues) = (
            dPrefix.keys[rows: block.keys][columns: keyColumns], dPrefix.values[rows: block.keys][columns: keyColumns]
        )
        BLAS.product(transposed: prefixP, gradient, into: dValues, accumulate: true)
        BLAS.product(transposed: prefixDS, queries, into: dKeys, accumulate: true)
        BLAS.product(prefixDS, keys, into: dQueries)
        for step in own.indices {
            let keys = own[step].keys[columns: keyColumns]
            let (dKeys, dValues) = (dOwn[step].keys[columns: keyColumns], dOwn[step].values[columns: keyColumns])
            for (i, row) in block.rows.enumerated() {
                let (probability, ds) = (p[i, keyCount + step], dP[i, keyCount + step])
                add(ds, keys.row(row), to: dQueries.row(i), headDim)
                add(ds, queries.row(i), to: dKeys.row(row), headDim)
                add(probability, gradient.row(i), to: dValues.row(row), headDim)
            }
        }
    }

    // MARK: - Blocks

    /// Rows of queries of one sequence, and the keys that the last of them sees.
    private struct Block {
        let rows: Range<Int>
        let keys: Range<Int>
    }

    private func blocks(of segments: [Segment], _ visible: [Int32]) -> [Block] {
        segments.flatMap { segment in
            stride(from: segment.queries.lowerBound, to: segment.queries.upperBound, by: Self.blockRows).map { first in
                let rows = first..<min(first + Self.blockRows, segment.queries.upperBound)
                let keyCount = Int(visible[rows.upperBound - 1])
                precondition(keyCount <= segment.keys.count)
                return Block(rows: rows, keys: segment.keys.lowerBound..<segment.keys.lowerBound + keyCount)
            }
        }
    }

    /// For each thread, room for the scores of one block.
    private func scratch(_ segments: [Segment], ownCount: Int, in workspace: Workspace) -> [Matrix] {
        let rows = min(Self.blockRows, segments.map(\.queries.count).max() ?? 0)
        let columns = (segments.map(\.keys.count).max() ?? 0) + ownCount
        return (0..<Parallel.threads).map { _ in workspace.matrix(rows: rows, columns: columns) }
    }

    /// The scaled scores of a block: [rows, keys of step 0, then a column for each later step].
    private func scores(
        _ q: Matrix, _ prefix: KeyValue, _ own: [KeyValue], _ block: Block, _ head: Int,
        in scratch: UnsafeMutablePointer<Float>
    ) -> Matrix {
        let keyCount = block.keys.count
        let scores = Matrix(start: scratch, rows: block.rows.count, columns: keyCount + own.count)
        let queries = q[rows: block.rows][columns: columns(head)]
        BLAS.product(
            queries, transposed: prefix.keys[rows: block.keys][columns: keyValueColumns(head)],
            into: scores[columns: 0..<keyCount], scale: scale)
        for (step, keyValue) in own.enumerated() {
            let keys = keyValue.keys[columns: keyValueColumns(head)]
            for (i, row) in block.rows.enumerated() {
                scores[i, keyCount + step] = scale * dot(queries.row(i), keys.row(row), headDim)
            }
        }
        return scores
    }

    /// Replaces scores s by e^(s − shift) and those of keys that the row doesn't see by 0; returns the sum.
    @inline(__always) private func exponentiate(
        _ s: UnsafeMutablePointer<Float>, _ count: Int, _ visibleKeys: Int, _ ownCount: Int, minus shift: Float
    ) -> Float {
        let keyCount = count - ownCount
        var sum = exponentiate(s, visibleKeys, minus: shift)
        (s + visibleKeys).update(repeating: 0, count: keyCount - visibleKeys)
        sum += exponentiate(s + keyCount, ownCount, minus: shift)
        return sum
    }

    @inline(__always) private func exponentiate(
        _ s: UnsafeMutablePointer<Float>, _ count: Int, minus shift: Float
    ) -> Float {
        let shift = Vector(repeating: shift)
        var sum = Vector.zero
        var i = 0
        while i + 16 <= count {
            let e = exp(s.load(i, of: count) - shift)
            s.store(e, i, of: count)
            sum += e
            i += 16
        }
        var total = sum.sum()
        while i < count {
            s[i] = exp(Vector(repeating: s[i] - shift[0]))[0]
            total += s[i]
            i += 1
        }
        return total
    }

    private func columns(_ head: Int) -> Range<Int> { head * headDim..<(head + 1) * headDim }

    private func keyValueColumns(_ head: Int) -> Range<Int> {
        keyValueHead[head] * headDim..<(keyValueHead[head] + 1) * headDim
    }
}
