import Glibc

/// Causal attention of a frozen target: over all keys of the past, a sliding window or a chunk of them.
///
/// With s = scale · q·key over the keys that a row sees, and a sink z of the head (gpt-oss), or none:
///
///     o = Σ eˢ v / (Σ eˢ + eᶻ)
///
/// Blocks of keys come one after another, with the largest score so far and the sums relative to it (Milakov and
/// Gimelshein 2018; Dao and others 2022). So memory doesn't depend on the sequence's length, and blocks that no row
/// sees are never touched.
struct StreamingAttention {
    let numHeads: Int
    let headDim: Int
    /// The key/value head that each query head reads, counted within this rank's.
    let keyValueHead: [Int]
    let scale: Float
    var span = AttentionSpan.full
    /// [1, numHeads]: each head's sink.
    var sinks: Matrix?

    private static let queryBlock = 128
    private static let keyBlock = 256
    /// Rows up to which each is computed by itself, so that a row's numbers don't depend on those beside it.
    private static let fewRows = 8

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
        let tasks = segments.flatMap(tasks)
        workspace.scope {
            let scratch = (0..<Parallel.threads).map { _ in
                Scratch(
                    scores: workspace.matrix(rows: Self.queryBlock, columns: Self.keyBlock),
                    state: workspace.matrix(rows: 2, columns: Self.queryBlock))
            }
            Parallel.forEach(tasks.count * numHeads) { index, worker in
                let (task, head) = (tasks[index / numHeads], index % numHeads)
                let columns = head * headDim..<(head + 1) * headDim
                let kvColumns = keyValueHead[head] * headDim..<(keyValueHead[head] + 1) * headDim
                let block = Block(
                    queries: q[rows: task.queries][columns: columns],
                    keys: keyValue.keys[rows: task.keys][columns: kvColumns],
                    values: keyValue.values[rows: task.keys][columns: kvColumns],
                    visible: visible[task.queries], output: o[rows: task.queries][columns: columns],
                    sink: sinks.map { $0[0, head] } ?? -.infinity)
                task.queries.count == 1 ? row(block, scratch[worker]) : rows(block, scratch[worker])
            }
        }
    }

    /// Some rows of one head.
    private struct Block {
        let queries: Matrix
        let keys: Matrix
        let values: Matrix
        let visible: ArraySlice<Int32>
        let output: Matrix
        let sink: Float
    }

    /// A thread's memory: a block of scores; each row's largest score and its sum of exponentials.
    private struct Scratch {
        let scores: Matrix
        let state: Matrix
    }

    /// A sequence's rows in blocks; few of them one by one.
    private func tasks(_ segment: Attention.Segment) -> [Attention.Segment] {
        let size = segment.queries.count <= Self.fewRows ? 1 : Self.queryBlock
        return stride(from: segment.queries.lowerBound, to: segment.queries.upperBound, by: size).map { first in
            .init(queries: first..<min(first + size, segment.queries.upperBound), keys: segment.keys)
        }
    }

    // MARK: - A block of rows, by matrix products

    private func rows(_ block: Block, _ scratch: Scratch) {
        let (largest, sums) = (scratch.state.row(0), scratch.state.row(1))
        let hasSink = block.sink > -.infinity
        largest.update(repeating: block.sink, count: block.queries.rows)
        sums.update(repeating: hasSink ? 1 : 0, count: block.queries.rows)
        for row in 0..<block.output.rows { block.output.row(row).update(repeating: 0, count: headDim) }
        let visible = block.visible.map { Int($0) }
        guard let first = visible.first, let last = visible.last else { return }
        precondition(last <= block.keys.rows)
        var begin = span.first(of: first) / Self.keyBlock * Self.keyBlock
        while begin < last {
            let keys = begin..<min(begin + Self.keyBlock, last)
            let scores = scratch.scores[rows: 0..<visible.count][columns: 0..<keys.count]
            BLAS.product(block.queries, transposed: block.keys[rows: keys], into: scores, scale: scale)
            for (row, count) in visible.enumerated() {
                let from = min(max(span.first(of: count), begin), keys.upperBound) - begin
                let seen = from..<max(from, min(count, keys.upperBound) - begin)
                let shrink = exponentiate(scores.row(row), keys.count, seen, &largest[row], &sums[row])
                if shrink != 1 { multiply(block.output.row(row), by: shrink) }
            }
            BLAS.product(scores, block.values[rows: keys], into: block.output, accumulate: true)
            begin += Self.keyBlock
        }
        for row in visible.indices { multiply(block.output.row(row), by: 1 / sums[row]) }
    }

    /// Replaces scores by their exponentials relative to the largest so far, and by 0 where the row doesn't see them.
    ///
    /// - Returns: What sums relative to the previous largest are to be multiplied by.
    private func exponentiate(
        _ scores: UnsafeMutablePointer<Float>, _ count: Int, _ seen: Range<Int>, _ largest: inout Float,
        _ sum: inout Float
    ) -> Float {
        guard seen.lowerBound < seen.upperBound else {
            scores.update(repeating: 0, count: count)
            return 1
        }
        let previous = largest
        largest = max(previous, maximum(scores + seen.lowerBound, seen.count))
        let shrink = previous == largest ? 1 : expf(previous - largest)
        scores.update(repeating: 0, count: seen.lowerBound)
        (scores + seen.upperBound).update(repeating: 0, count: count - seen.upperBound)
        sum = sum * shrink + exponentials(scores + seen.lowerBound, seen.count, minus: largest)
        return shrink
    }

    // MARK: - One row, by dot products

    private func row(_ block: Block, _ scratch: Scratch) {
        guard let visible = block.visible.first.map({ Int($0) }) else { return }
        let (query, output, scores) = (block.queries.row(0), block.output.row(0), scratch.scores.start)
        var (largest, sum) = (block.sink, block.sink > -.infinity ? Float(1) : 0)
        output.update(repeating: 0, count: headDim)
        var begin = span.first(of: visible)
        while begin < visible {
            let count = min(Self.keyBlock, visible - begin)
            for i in 0..<count { scores[i] = scale * dot(query, block.keys.row(begin + i), headDim) }
            let shrink = exponentiate(scores, count, 0..<count, &largest, &sum)
            if shrink != 1 { multiply(output, by: shrink) }
            for i in 0..<count { add(scores[i], block.values.row(begin + i), to: output, headDim) }
            begin += count
        }
        multiply(output, by: 1 / sum)
    }

    @inline(__always) private func multiply(_ x: UnsafeMutablePointer<Float>, by factor: Float) {
        for i in stride(from: 0, to: headDim, by: 16) {
            x.store(x.load(i, of: headDim) * factor, i, of: headDim)
        }
    }
}

/// Replaces x by e^(x − shift) and returns the sum.
@inline(__always) private func exponentials(
    _ x: UnsafeMutablePointer<Float>, _ count: Int, minus shift: Float
) -> Float {
    let shifts = Vector(repeating: shift)
    var sum = Vector.zero
    var i = 0
    while i + 16 <= count {
        let e = exp(x.load(i, of: count) - shifts)
        x.store(e, i, of: count)
        sum += e
        i += 16
    }
    var total = sum.sum()
    while i < count {
        x[i] = exp(Vector(repeating: x[i] - shift))[0]
        total += x[i]
        i += 1
    }
    return total
}
