import Shared

/// Causal attention of a frozen target over pages of keys and values (`KeyValuePages`), for rows of many sequences: what
/// batched decoding computes (Kwon and others 2023).
///
/// The formula is that of `StreamingAttention`. Each row of a head is computed by itself, a page of keys after another, so
/// that nothing depends on which rows are computed together, and in which pieces a prompt comes. Four rows of heads that
/// share keys are computed at a time, as reading keys and values is what takes the time.
struct PagedAttention {
    let attention: StreamingAttention
    let pages: KeyValuePages

    /// Rows of one sequence, and where its keys are.
    struct Run {
        let rows: Range<Int>
        /// Position of the first row in its sequence.
        let position: Int
        /// The sequence's pages.
        let table: UnsafePointer<Int32>
    }

    /// Rows of heads that are computed together.
    private static let together = 4

    /// o = attention of q.
    ///
    /// - Parameters:
    ///   - q: Rotated queries, [rows, numHeads · headDim].
    ///   - o: [rows, numHeads · headDim].
    func forward(_ q: Matrix, _ runs: [Run], into o: Matrix, in workspace: Workspace) {
        let groups = attention.groups
        let threads = workspace.compute.threads
        // The tasks of a run: for each group of heads, its rows of heads by fours.
        let most = groups.map(\.count).max() ?? 0
        var starts = [0]
        starts.reserveCapacity(runs.count + 1)
        for run in runs { starts.append(starts[starts.count - 1] + tasks(run, most) * groups.count) }
        /// The run of a task, its heads, and the first of its rows of heads.
        func task(_ index: Int) -> (run: Run, heads: Range<Int>, first: Int) {
            let number = Self.last(of: starts, notAbove: index)
            let (group, first) = ((index - starts[number]) % groups.count, (index - starts[number]) / groups.count)
            return (runs[number], groups[group], first * Self.together)
        }
        workspace.scope {
            let scratch = (0..<threads).map { _ in Scratch(pages.width, in: workspace) }
            workspace.compute.forEach(starts[runs.count]) { index, worker in
                let (run, heads, first) = task(index)
                let count = min(Self.together, run.rows.count * heads.count - first)
                guard count > 0 else { return }
                let next = index + 1 < starts[runs.count] ? task(index + 1) : (run, heads, first)
                attend(run, heads, first..<first + count, q, o, before: keys(next.0, next.1), scratch[worker])
            }
        }
    }

    /// The first keys that a run's heads see, or some before them.
    private func keys(_ run: Run, _ heads: Range<Int>) -> UnsafeMutableRawPointer {
        let first = attention.span.first(of: run.position + 1) / KeyValuePages.size
        return pages.keys(run.table[first], attention.keyValueHead[heads.lowerBound])
    }

    private func tasks(_ run: Run, _ heads: Int) -> Int { (run.rows.count * heads + Self.together - 1) / Self.together }

    /// The last of ascending values that isn't above one.
    private static func last(of numbers: [Int], notAbove number: Int) -> Int {
        var (low, high) = (0, numbers.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if numbers[middle] <= number { low = middle } else { high = middle }
        }
        return low
    }

    /// A thread's memory.
    private struct Scratch {
        /// Scaled queries and what they give, [together, width].
        let queries: Matrix
        let output: Matrix
        let scores: Matrix
        let softmax: StreamingSoftmax

        init(_ width: Int, in workspace: Workspace) {
            queries = workspace.matrix(rows: PagedAttention.together, columns: width)
            output = workspace.matrix(rows: PagedAttention.together, columns: width)
            scores = workspace.matrix(rows: PagedAttention.together, columns: KeyValuePages.size)
            softmax = StreamingSoftmax(rows: PagedAttention.together, in: workspace)
        }
    }

    /// Some rows of heads, counted row by row of the run; those of `heads` share their keys.
    ///
    /// - Parameter next: Keys that are computed with after these.
    private func attend(
        _ run: Run, _ heads: Range<Int>, _ some: Range<Int>, _ q: Matrix, _ o: Matrix,
        before next: UnsafeMutableRawPointer, _ scratch: Scratch
    ) {
        switch pages.precision {
        case .bfloat16: attend(run, heads, some, q, o, before: next, scratch, BFloat16Element.self)
        case .float32: attend(run, heads, some, q, o, before: next, scratch, Float32Element.self)
        }
    }

    @inline(__always) private func attend<Element: PagedElement>(
        _ run: Run, _ heads: Range<Int>, _ some: Range<Int>, _ q: Matrix, _ o: Matrix,
        before next: UnsafeMutableRawPointer, _ scratch: Scratch, _ element: Element.Type
    ) {
        let (size, width, count) = (attention.headDim, pages.width, some.count)
        let keyValueHead = attention.keyValueHead[heads.lowerBound]
        var (visible, first) = (SIMD4<Int>.zero, SIMD4<Int>.zero)
        for i in 0..<count {
            let row = (some.lowerBound + i) / heads.count
            let head = heads.lowerBound + (some.lowerBound + i) % heads.count
            visible[i] = run.position + row + 1
            first[i] = attention.span.first(of: visible[i])
            let (source, query) = (q.row(run.rows.lowerBound + row) + head * size, scratch.queries.row(i))
            for j in 0..<size { query[j] = source[j] * attention.scale }
            for j in size..<width { query[j] = 0 }
            scratch.softmax.begin(i, sink: attention.sinks.map { $0[0, head] } ?? -.infinity)
            scratch.output.row(i).update(repeating: 0, count: width)
        }
        // Rows ascend, so the first one sees the first keys and the last one the last.
        let end = visible[count - 1]
        let last = (end - 1) / KeyValuePages.size
        for page in first[0] / KeyValuePages.size...last {
            let begin = page * KeyValuePages.size
            let used = min(KeyValuePages.size, end - begin)
            // While keys are computed with, their values come into the cache, and then the keys after them.
            let keys = pages.keys(run.table[page], keyValueHead)
            let values = pages.values(run.table[page], keyValueHead)
            let following = page < last ? pages.keys(run.table[page + 1], keyValueHead) : next
            score(keys, blocks: (used + 15) / 16, queries: count, ahead: values - keys, scratch, element)
            for i in 0..<count {
                let from = min(max(first[i] - begin, 0), used)
                let seen = from..<max(from, min(visible[i] - begin, used))
                let scores = scratch.scores.row(i)
                if let cap = attention.scoreCap { scores.softcap(KeyValuePages.size, at: cap) }
                let shrink = scratch.softmax.add(scores, KeyValuePages.size, seen: seen, to: i)
                if shrink != 1 { scale(scratch.output.row(i), by: shrink, width) }
            }
            add(values, count: used, queries: count, ahead: following - values, scratch, element)
        }
        for i in 0..<count {
            let row = (some.lowerBound + i) / heads.count
            let head = heads.lowerBound + (some.lowerBound + i) % heads.count
            let (output, target) = (scratch.output.row(i), o.row(run.rows.lowerBound + row) + head * size)
            let factor = Vector(repeating: 1 / scratch.softmax.sum(i))
            for j in stride(from: 0, to: width, by: 32) {
                let pair = Element.ordered((output.load(j, of: width), output.load(j + 16, of: width)))
                if j < size { target.store(pair.0 * factor, j, of: size) }
                if j + 16 < size { target.store(pair.1 * factor, j + 16, of: size) }
            }
        }
    }

    /// Scores of one to four queries with the first keys of a page.
    ///
    /// In pairs of blocks of sixteen keys: three queries have as many sums at a time as additions are under way, or more.
    /// What is `ahead` bytes after the keys comes into the cache meanwhile.
    @inline(__always) private func score<Element: PagedElement>(
        _ keys: UnsafeMutableRawPointer, blocks: Int, queries: Int, ahead: Int, _ scratch: Scratch,
        _: Element.Type
    ) {
        let (q0, q1) = (scratch.queries.row(0), scratch.queries.row(1))
        let (q2, q3) = (scratch.queries.row(2), scratch.queries.row(3))
        let (width, zero) = (pages.width, Vector.zero)
        for block in stride(from: 0, to: blocks, by: 2) {
            var (s0, s1, s2, s3) = (zero, zero, zero, zero)
            var (t0, t1, t2, t3) = (zero, zero, zero, zero)
            for pair in 0..<width / 2 {
                let (a, b) = Element.keys(keys, block: block, pair: pair, width: width, ahead: ahead)
                let (c, d) = Element.keys(keys, block: block + 1, pair: pair, width: width, ahead: ahead)
                @inline(__always) func add(_ q: UnsafeMutablePointer<Float>, _ s: inout Vector, _ t: inout Vector) {
                    let (x, y) = (Vector(repeating: q[2 * pair]), Vector(repeating: q[2 * pair + 1]))
                    s.addProduct(a, x)
                    t.addProduct(c, x)
                    s.addProduct(b, y)
                    t.addProduct(d, y)
                }
                add(q0, &s0, &t0)
                if queries > 1 { add(q1, &s1, &t1) }
                if queries > 2 { add(q2, &s2, &t2) }
                if queries > 3 { add(q3, &s3, &t3) }
            }
            @inline(__always) func store(_ row: Int, _ s: Vector, _ t: Vector) {
                scratch.scores.row(row).store(s, 16 * block, of: KeyValuePages.size)
                scratch.scores.row(row).store(t, 16 * block + 16, of: KeyValuePages.size)
            }
            store(0, s0, t0)
            if queries > 1 { store(1, s1, t1) }
            if queries > 2 { store(2, s2, t2) }
            if queries > 3 { store(3, s3, t3) }
        }
    }

    /// Adds the first values of a page, each times its weight, to what one to four queries give.
    @inline(__always) private func add<Element: PagedElement>(
        _ values: UnsafeMutableRawPointer, count: Int, queries: Int, ahead: Int, _ scratch: Scratch,
        _: Element.Type
    ) {
        let (p0, p1, p2, p3) = (
            scratch.scores.row(0), scratch.scores.row(1), scratch.scores.row(2), scratch.scores.row(3)
        )
        let (o0, o1, o2, o3) = (
            scratch.output.row(0), scratch.output.row(1), scratch.output.row(2), scratch.output.row(3)
        )
        let width = pages.width
        for i in stride(from: 0, to: width, by: 32) {
            var (a0, b0) = (o0.load(i, of: width), o0.load(i + 16, of: width))
            var (a1, b1) = (o1.load(i, of: width), o1.load(i + 16, of: width))
            var (a2, b2) = (o2.load(i, of: width), o2.load(i + 16, of: width))
            var (a3, b3) = (o3.load(i, of: width), o3.load(i + 16, of: width))
            for position in 0..<count {
                let (a, b) = Element.values(values, position: position, offset: i, width: width, ahead: ahead)
                a0.addProduct(a, Vector(repeating: p0[position]))
                b0.addProduct(b, Vector(repeating: p0[position]))
                if queries > 1 {
                    a1.addProduct(a, Vector(repeating: p1[position]))
                    b1.addProduct(b, Vector(repeating: p1[position]))
                }
                if queries > 2 {
                    a2.addProduct(a, Vector(repeating: p2[position]))
                    b2.addProduct(b, Vector(repeating: p2[position]))
                }
                if queries > 3 {
                    a3.addProduct(a, Vector(repeating: p3[position]))
                    b3.addProduct(b, Vector(repeating: p3[position]))
                }
            }
            o0.store(a0, i, of: width)
            o0.store(b0, i + 16, of: width)
            o1.store(a1, i, of: width)
            o1.store(b1, i + 16, of: width)
            o2.store(a2, i, of: width)
            o2.store(b2, i + 16, of: width)
            o3.store(a3, i, of: width)
            o3.store(b3, i + 16, of: width)
        }
    }
}
