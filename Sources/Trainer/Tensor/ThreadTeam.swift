import Shared
import Synchronization

/// Threads that run a loop together with the thread that asks for it, and wait for the next one in between: as long as
/// the process lives.
///
/// They keep their CPUs for a while between loops (`Gate`), if they have CPUs of their own. Each wakes some others
/// before it begins, so that waking many takes no longer than a few take one after another.
final class ThreadTeam: @unchecked Sendable {
    /// Longer than what runs on one thread between two loops of a step, as a rule.
    static let patience = Duration.microseconds(100)
    /// Threads that each thread wakes.
    static let fanOut = 8

    /// The CPU of each thread, the calling one's first; empty if the system places them.
    private let cpus: [Int]
    private let isBusy = Atomic<Bool>(false)
    private let working = Atomic<Int>(0)
    private let isDone = Gate()
    /// Opened for each thread but the calling one.
    ///
    /// This and what follows is changed only by the thread that has set
    /// `isBusy`, and read by those that are counted in `working`.
    private var gates: [Gate] = []
    private var job: ((Int) -> Void)?
    private var threads = 0
    private var patience = ThreadTeam.patience

    init(cpus: [Int] = []) { self.cpus = cpus }

    /// Runs `body` once on each of that many threads, the calling one among them, and returns when all are done.
    ///
    /// `body` gets the thread's number, which is 0 for the calling one, and how many there are: one if the team is at
    /// work already, as the calling thread then does alone all there is to do.
    ///
    /// - Parameter staysAwake: Whether all threads have CPUs of their own; where they are oversubscribed, those that
    ///   wait must not keep the others from working.
    func run(_ threads: Int, staysAwake: Bool = true, _ body: (_ thread: Int, _ threads: Int) -> Void) {
        guard threads > 1, isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
            return body(0, 1)
        }
        defer { isBusy.store(false, ordering: .releasing) }
        while gates.count < threads - 1 { gates.append(begin(gates.count + 1)) }
        patience = staysAwake ? Self.patience : .zero
        self.threads = threads
        withoutActuallyEscaping(body) { body in
            job = { body($0, threads) }
            working.store(threads - 1, ordering: .relaxed)
            wakeOthers(after: 0)
            body(0, threads)
            isDone.pass(patience: patience)
            job = nil
        }
    }

    /// Wakes the threads that a thread is to wake.
    private func wakeOthers(after thread: Int) {
        let first = thread * Self.fanOut + 1
        for other in first..<max(first, min(first + Self.fanOut, threads)) { gates[other - 1].open() }
    }

    private func begin(_ thread: Int) -> Gate {
        let gate = Gate()
        do {
            _ = try WorkerThread { [self] in
                if cpus.indices.contains(thread) { Machine.bindThread(to: [cpus[thread]]) }
                var patience = Self.patience
                while true {
                    gate.pass(patience: patience)
                    wakeOthers(after: thread)
                    patience = self.patience
                    job?(thread)
                    if working.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { isDone.open() }
                }
            }
        } catch {
            fatalError("\(error)")
        }
        return gate
    }
}
