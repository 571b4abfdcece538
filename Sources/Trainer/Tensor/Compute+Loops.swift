import Synchronization

/// Loops spread over threads.
///
/// Every index is computed by one thread in the same order of operations whatever their number, so results don't
/// depend on it.
extension Compute {
    /// Runs `body` for 0..<count, each index on one thread, taken in order as threads become free.
    ///
    /// `worker`, below `threads`, tells which of them runs an index: for scratch memory of its own.
    func forEach(_ count: Int, _ body: (_ index: Int, _ worker: Int) -> Void) {
        let workers = min(threads, count)
        guard workers > 1 else {
            for index in 0..<max(0, count) { body(index, 0) }
            return
        }
        let next = Atomic<Int>(0)
        run(workers) { worker in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                body(index, worker)
            }
        }
    }

    /// Cuts 0..<count into one range for each thread, none shorter than `atLeast` unless it is the only one.
    func ranges(_ count: Int, atLeast: Int = 1, _ body: (Range<Int>) -> Void) {
        let parts = max(1, min(threads, count / max(1, atLeast)))
        guard parts > 1 else { return count > 0 ? body(0..<count) : () }
        forEach(parts) { part, _ in body(count * part / parts..<count * (part + 1) / parts) }
    }

    /// Cuts the rows of a matrix into one range for each thread, none of fewer than 65,536 elements.
    func rows(_ rows: Int, of columns: Int, _ body: (Range<Int>) -> Void) {
        ranges(rows, atLeast: 1 + 65_536 / max(1, columns), body)
    }
}
