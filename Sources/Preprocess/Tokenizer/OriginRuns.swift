/// Where each byte of a rewritten text comes from, as runs: what a step leaves alone is one run, however long it is.
///
/// Lookups and appends go through the text in order, so that each looks no further than the run after the last one's; any
/// other lookup searches. Memory is twelve bytes for each run, of which a change makes two at most.
final class OriginRuns {
    private struct Run {
        /// The run's first byte in the text.
        var start: Int32
        /// The first original byte of the run's first byte.
        var origin: Int32
        /// How many original bytes all bytes of the run come from; -1 where each comes from one, and the next from the next.
        var length: Int32
    }

    private static let each: Int32 = -1

    @exclusivity(unchecked) private var runs: UnsafeMutablePointer<Run>
    @exclusivity(unchecked) private var capacity = 256
    @exclusivity(unchecked) private var count = 0
    /// The run that was looked up last.
    @exclusivity(unchecked) private var current = 0

    init() { runs = .allocate(capacity: capacity) }

    deinit { runs.deallocate() }

    func removeAll() { (count, current) = (0, 0) }

    /// The original bytes of the byte at `i`, which is before the end of what was appended.
    subscript(i: Int) -> Range<Int32> {
        let run = runs[find(Int32(truncatingIfNeeded: i))]
        guard run.length == Self.each else { return run.origin..<run.origin &+ run.length }
        let origin = run.origin &+ (Int32(truncatingIfNeeded: i) &- run.start)
        return origin..<origin &+ 1
    }

    /// Bytes from `position` on come from the original bytes from `origin` on, each from one.
    func append(at position: Int, each origin: Int) {
        append(Run(start: Int32(position), origin: Int32(origin), length: Self.each))
    }

    /// Bytes from `position` on all come from `origin`.
    func append(at position: Int, all origin: Range<Int32>) {
        append(Run(start: Int32(position), origin: origin.lowerBound, length: Int32(origin.count)))
    }

    /// Bytes from `position` on come from where those of a range that isn't empty come from in another text.
    func append(at position: Int, _ range: Range<Int>, of other: OriginRuns) {
        let (start, end) = (Int32(range.lowerBound), Int32(range.upperBound))
        var index = other.find(start)
        while index < other.count, other.runs[index].start < end {
            var run = other.runs[index]
            if run.start < start {
                if run.length == Self.each { run.origin &+= start &- run.start }
                run.start = start
            }
            run.start = run.start &- start &+ Int32(position)
            append(run)
            index += 1
        }
    }

    private func append(_ run: Run) {
        if count > 0 {
            let last = runs[count &- 1]
            let goesOn =
                run.length == last.length
                && run.origin == (run.length == Self.each ? last.origin &+ (run.start &- last.start) : last.origin)
            if goesOn { return }
        }
        if count == capacity { grow() }
        runs[count] = run
        count += 1
    }

    private func grow() {
        let grown = UnsafeMutablePointer<Run>.allocate(capacity: 2 * capacity)
        grown.update(from: runs, count: count)
        runs.deallocate()
        (runs, capacity) = (grown, 2 * capacity)
    }

    /// The run of the byte at `i`: the last one that doesn't begin after it.
    private func find(_ i: Int32) -> Int {
        var (low, high) = (0, count)
        if current < count, runs[current].start <= i {
            low = current
            if low &+ 1 == count || i < runs[low &+ 1].start { return low }
            if low &+ 2 == count || i < runs[low &+ 2].start { high = low &+ 2 }
        }
        while high &- low > 1 {
            let middle = (low &+ high) / 2
            if runs[middle].start <= i { low = middle } else { high = middle }
        }
        current = low
        return low
    }
}
