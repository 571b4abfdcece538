import Synchronization

/// Loops spread over threads.
///
/// Every index is computed by one thread in the same order of operations whatever their number, so results don't
/// depend on it.
extension Compute {
    /// Runs `body` for 0..<count, each index on one thread: a thread begins with the index of its own number, so that
    /// it finds what it touched in other loops in its memory, and then takes those that are left as it becomes free.
    ///
    /// `worker`, below `threads`, tells which of them runs an index: for scratch memory of its own.
    ///
    /// - Parameter what: What the loop works on, for a report on how loops scale.
    func forEach(
        _ count: Int, _ what: @autoclosure () -> String = "", function: StaticString = #function,
        file: StaticString = #fileID, _ body: (_ index: Int, _ worker: Int) -> Void
    ) {
        if let recorder, recorder.isSimulating {
            return recorder.run(count, { "\(LoopRecorder.name(file, function)) \(what())" }, body)
        }
        let workers = min(threads, count)
        guard workers > 1 else {
            for index in 0..<max(0, count) { body(index, 0) }
            return
        }
        let taken = Atomic<Int>(0)
        run(workers) { worker, workers in
            var index = worker
            while index < count {
                body(index, worker)
                index = workers + taken.wrappingAdd(1, ordering: .relaxed).oldValue
            }
        }
    }

    /// Cuts 0..<count into one range for each thread, none shorter than `atLeast` unless it is the only one.
    func ranges(
        _ count: Int, atLeast: Int = 1, function: StaticString = #function, file: StaticString = #fileID,
        _ body: (Range<Int>) -> Void
    ) {
        guard count > 0 else { return }
        let parts = max(1, min(threads, count / max(1, atLeast)))
        forEach(parts, function: function, file: file) { part, _ in
            body(count * part / parts..<count * (part + 1) / parts)
        }
    }

    /// Cuts the rows of a matrix into one range for each thread, none of fewer than 16,384 elements.
    func rows(
        _ rows: Int, of columns: Int, function: StaticString = #function, file: StaticString = #fileID,
        _ body: (Range<Int>) -> Void
    ) {
        ranges(rows, atLeast: 1 + 16_384 / max(1, columns), function: function, file: file, body)
    }
}
