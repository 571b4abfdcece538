import Shared
import Synchronization

/// Loops spread over this process's threads.
///
/// Every index is computed by one thread in the same order of operations whatever their number, so results don't
/// depend on it.
enum Parallel {
    private static let count = Atomic<Int>(1)
    private static let haveCPUs = Atomic<Bool>(false)
    private static let team = ThreadTeam()

    /// Threads that loops and matrix products use.
    static var threads: Int { count.load(ordering: .relaxed) }

    /// Sets the number of threads: once, at the start.
    ///
    /// - Parameter cpus: This process's own, which it shares with no other rank.
    static func setThreads(_ threads: Int, cpus: Int = Machine.availableCPUs) {
        precondition(threads > 0)
        count.store(threads, ordering: .relaxed)
        haveCPUs.store(threads <= cpus, ordering: .relaxed)
    }

    /// Runs `body` for 0..<count, each index on one thread, taken in order as threads become free.
    ///
    /// `worker`, below `threads`, tells which of them runs an index: for scratch memory of its own.
    static func forEach(_ count: Int, _ body: (_ index: Int, _ worker: Int) -> Void) {
        let workers = min(threads, count)
        guard workers > 1 else {
            for index in 0..<max(0, count) { body(index, 0) }
            return
        }
        let next = Atomic<Int>(0)
        team.run(workers, staysAwake: haveCPUs.load(ordering: .relaxed)) { worker in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                body(index, worker)
            }
        }
    }

    /// Cuts 0..<count into one range for each thread, none shorter than `atLeast` unless it is the only one.
    static func ranges(_ count: Int, atLeast: Int = 1, _ body: (Range<Int>) -> Void) {
        let parts = max(1, min(threads, count / max(1, atLeast)))
        guard parts > 1 else { return count > 0 ? body(0..<count) : () }
        forEach(parts) { part, _ in body(count * part / parts..<count * (part + 1) / parts) }
    }
}
