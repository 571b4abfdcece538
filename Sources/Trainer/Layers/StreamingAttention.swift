/// Causal attention of a frozen target: over all keys of the past, a sliding window or a chunk of them.
///
/// With s = scale · q·key over the keys that a row sees, and a sink z of the head (gpt-oss), or none:
///
///     o = Σ eˢ v / (Σ eˢ + eᶻ)
///
/// Blocks of keys come one after another (`StreamingSoftmax`). So memory doesn't depend on the sequence's length, and
/// blocks that no row sees are never touched. The query heads that share a key/value head are rows of the same products.
struct StreamingAttention {
    let numHeads: Int
    let headDim: Int
    /// The key/value head that each query head reads, counted within this rank's.
    let keyValueHead: [Int]
    let scale: Float
    var span = AttentionSpan.full
    /// [1, numHeads]: each head's sink.
    var sinks: Matrix?
    /// c, where scores s become c tanh(s / c) (Gemma 2); nil for none.
    var scoreCap: Float?
    /// What queries, keys, values and eˢ are rounded to; sums are float32.
    var precision = MatrixPrecision.float32

    /// Rows of a block's queries, those of all its heads together.
    static let queryBlock = 256
    static let keyBlock = 256

    /// o = attention of q.
    ///
    /// - Parameters:
    ///   - q: Rotated queries, [rows, numHeads · headDim].
    ///   - keyValue: Keys and values, the past's before the rows' own.
    ///   - visible: How many keys of its sequence each row would see in full; ascending within a sequence.
    ///   - o: [rows, numHeads · headDim].
    func forward(
        _ q: Matrix, _ keyValue: Attention.KeyValue, visible: [Int32], segments: [Attention.Segment], into o: Matrix,
        in workspace: Workspace
    ) {
        // Rows of a short segment are computed each by itself, so that none depends on those beside it.
        let few = segments.filter { $0.queries.count <= FewRows.most }
        let many = segments.filter { $0.queries.count > FewRows.most }
        if !few.isEmpty { forwardRows(q, keyValue, visible: visible, segments: few, into: o, in: workspace) }
        if !many.isEmpty { forwardBlocks(q, keyValue, visible: visible, segments: many, into: o, in: workspace) }
    }

    // MARK: - Blocks of rows, by matrix products

    /// Some rows of the query heads that share a key/value head.
    private struct Task {
        let rows: Range<Int>
        let keys: Range<Int>
        let heads: Range<Int>
    }

    private func forwardBlocks(
        _ q: Matrix, _ keyValue: Attention.KeyValue, visible: [Int32], segments: [Attention.Segment], into o: Matrix,
        in workspace: Workspace
    ) {
        let tasks = segments.flatMap { segment in
            groups.flatMap { heads in
                let size = Self.blockRows(heads.count)
                return stride(from: segment.queries.lowerBound, to: segment.queries.upperBound, by: size).map { first in
                    Task(
                        rows: first..<min(first + size, segment.queries.upperBound), keys: segment.keys, heads: heads)
                }
            }
        }
        workspace.scope {
            let operands = AttentionOperands(keyValue, precision, in: workspace)
            let largest = tasks.map { $0.rows.count * $0.heads.count }.max() ?? 0
            let scratch = (0..<workspace.compute.threads).map { _ in
                AttentionScratch(rows: largest, headDim: headDim, keys: Self.keyBlock, precision, in: workspace)
            }
            // The last blocks see the most keys: they come first, so that threads end together.
            let order = tasks.sorted {
                $0.rows.lowerBound - $0.keys.lowerBound > $1.rows.lowerBound - $1.keys.lowerBound
            }
            workspace.compute.forEach(order.count) { index, worker in
                run(order[index], q, operands, visible, o, scratch[worker])
            }
        }
    }

    /// Rows of a block of that many heads.
    private static func blockRows(_ heads: Int) -> Int { max(16, queryBlock / heads) }

    /// Floats that `forward` takes of its workspace, for a sequence of that many tokens among `rows`.
    func scratchCount(longest: Int, rows: Int, keyValueWidth: Int, threads: Int) -> Int {
        let block = groups.map { min(longest, Self.blockRows($0.count)) * $0.count }.max() ?? 0
        let floats = threads * block * (Self.keyBlock + 2 * headDim + 2)
        guard precision == .bfloat16 else { return floats }
        return floats + threads * block * (Self.keyBlock + headDim) / 2 + rows * keyValueWidth
    }

    /// Neighbouring query heads that share a key/value head.
    var groups: [Range<Int>] {
        var groups: [Range<Int>] = []
        for head in 0..<numHeads {
            if let last = groups.last, keyValueHead[last.lowerBound] == keyValueHead[head] {
                groups[groups.count - 1] = last.lowerBound..<head + 1
            } else {
                groups.append(head..<head + 1)
            }
        }
        return groups
    }

    private func run(
        _ task: Task, _ q: Matrix, _ operands: AttentionOperands, _ visible: [Int32], _ o: Matrix,
        _ scratch: AttentionScratch
    ) {
        let (rows, count) = (task.rows.count, task.rows.count * task.heads.count)
        let head = keyValueHead[task.heads.lowerBound]
        let columns = head * headDim..<(head + 1) * headDim
        let block = scratch[rows: count]
        for (slot, head) in task.heads.enumerated() {
            let sink = sinks.map { $0[0, head] } ?? -.infinity
            for row in 0..<rows {
                let query = q.row(task.rows.lowerBound + row) + head * headDim
                let index = slot * rows + row
                scale(query, into: block.queries.row(index), by: scale)
                block.softmax.begin(index, sink: sink)
                block.output.row(index).update(repeating: 0, count: headDim)
            }
        }
        block.rounded.queries.round(block.queries)
        let (first, last) = (Int(visible[task.rows.lowerBound]), Int(visible[task.rows.upperBound - 1]))
        precondition(last <= task.keys.count)
        var begin = span.first(of: first) / Self.keyBlock * Self.keyBlock
        while begin < last {
            let keys = begin..<min(begin + Self.keyBlock, last)
            let positions = task.keys.lowerBound + keys.lowerBound..<task.keys.lowerBound + keys.upperBound
            let scores = block.scores[columns: 0..<keys.count]
            let (keyOperand, valueOperand) = operands[positions, columns]
            let weights = block.rounded.scores[columns: 0..<keys.count]
            BLAS.product(block.rounded.queries, transposed: false, keyOperand, transposed: true, into: scores)
            for index in 0..<count {
                let visibleKeys = Int(visible[task.rows.lowerBound + index % rows])
                let from = min(max(span.first(of: visibleKeys), begin), keys.upperBound) - begin
                let seen = from..<max(from, min(visibleKeys, keys.upperBound) - begin)
                cap(scores.row(index), keys.count)
                let shrink = block.softmax.add(scores.row(index), keys.count, seen: seen, to: index)
                if shrink != 1 { scale(block.output.row(index), into: block.output.row(index), by: shrink) }
                weights.round(index, of: scores, keys.count)
            }
            BLAS.product(
                weights, transposed: false, valueOperand, transposed: false, into: block.output, accumulate: true)
            begin += Self.keyBlock
        }
        for (slot, head) in task.heads.enumerated() {
            for row in 0..<rows {
                let index = slot * rows + row
                let target = o.row(task.rows.lowerBound + row) + head * headDim
                scale(block.output.row(index), into: target, by: 1 / block.softmax.sum(index))
            }
        }
    }

    // MARK: - One row, by dot products

    private func forwardRows(
        _ q: Matrix, _ keyValue: Attention.KeyValue, visible: [Int32], segments: [Attention.Segment], into o: Matrix,
        in workspace: Workspace
    ) {
        let rows = segments.flatMap { segment in segment.queries.map { (row: $0, keys: segment.keys) } }
        workspace.scope {
            let scratch = workspace.matrix(rows: workspace.compute.threads, columns: Self.keyBlock)
            let softmax = StreamingSoftmax(rows: workspace.compute.threads, in: workspace)
            workspace.compute.forEach(rows.count * numHeads) { index, worker in
                let ((row, keys), head) = (rows[index / numHeads], index % numHeads)
                let columns = keyValueHead[head] * headDim..<(keyValueHead[head] + 1) * headDim
                attend(
                    q.row(row) + head * headDim, keyValue.keys[rows: keys][columns: columns],
                    keyValue.values[rows: keys][columns: columns], visible: Int(visible[row]),
                    sink: sinks.map { $0[0, head] } ?? -.infinity, into: o.row(row) + head * headDim,
                    scores: scratch.row(worker), softmax, worker)
            }
        }
    }

    private func attend(
        _ query: UnsafeMutablePointer<Float>, _ keys: Matrix, _ values: Matrix, visible: Int, sink: Float,
        into output: UnsafeMutablePointer<Float>, scores: UnsafeMutablePointer<Float>, _ softmax: StreamingSoftmax,
        _ slot: Int
    ) {
        precondition(visible <= keys.rows)
        softmax.begin(slot, sink: sink)
        output.update(repeating: 0, count: headDim)
        var begin = span.first(of: visible)
        while begin < visible {
            let count = min(Self.keyBlock, visible - begin)
            for i in 0..<count { scores[i] = scale * dot(query, keys.row(begin + i), headDim) }
            cap(scores, count)
            let shrink = softmax.add(scores, count, seen: 0..<count, to: slot)
            if shrink != 1 { scale(output, into: output, by: shrink) }
            for i in 0..<count { add(scores[i], values.row(begin + i), to: output, headDim) }
            begin += count
        }
        scale(output, into: output, by: 1 / softmax.sum(slot))
    }

    /// Scores become those that are capped, if there is a cap.
    @inline(__always) private func cap(_ scores: UnsafeMutablePointer<Float>, _ count: Int) {
        if let scoreCap { scores.softcap(count, at: scoreCap) }
    }

    @inline(__always) private func scale(
        _ x: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>, by factor: Float
    ) {
        for i in stride(from: 0, to: headDim, by: 16) { y.store(x.load(i, of: headDim) * factor, i, of: headDim) }
    }
}
