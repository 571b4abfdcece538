import Shared
import Synchronization

/// Threads that run a loop together with the thread that asks for it, and wait for the next one in between: as long as
/// the process lives.
///
/// They keep their CPUs for a while between loops (`Gate`), if they have CPUs of their own.
final class ThreadTeam: @unchecked Sendable {
    /// Longer than what runs on one thread between two loops of a step, as a rule.
    private static let patience = Duration.microseconds(100)

    private let isBusy = Atomic<Bool>(false)
    private let working = Atomic<Int>(0)
    private let isDone = Gate()
    /// Used only by the thread that has set `isBusy`; a member's fields belong to the member while it is counted in
    /// `working`.
    private var members: [Member] = []

    private final class Member: @unchecked Sendable {
        let begins = Gate()
        var job: (() -> Void)?
        var patience = ThreadTeam.patience
    }

    /// Runs `body` once on each of that many threads, the calling one among them, and returns when all are done.
    ///
    /// `body` gets the thread's number; the calling one's is 0. If the team is at work already, the calling thread runs
    /// it alone: `body` must do all there is to do on any number of threads.
    ///
    /// - Parameter staysAwake: Whether all threads have CPUs of their own; where they are oversubscribed, those that
    ///   wait must not keep the others from working.
    func run(_ threads: Int, staysAwake: Bool = true, _ body: (_ thread: Int) -> Void) {
        guard threads > 1, isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else {
            return body(0)
        }
        defer { isBusy.store(false, ordering: .releasing) }
        let patience = staysAwake ? Self.patience : .zero
        while members.count < threads - 1 { members.append(begin()) }
        withoutActuallyEscaping(body) { body in
            working.store(threads - 1, ordering: .relaxed)
            for (index, member) in members.prefix(threads - 1).enumerated() {
                member.patience = patience
                member.job = { body(index + 1) }
                member.begins.open()
            }
            body(0)
            isDone.pass(patience: patience)
        }
    }

    private func begin() -> Member {
        let member = Member()
        do {
            _ = try WorkerThread { [self] in
                var patience = Self.patience
                while true {
                    member.begins.pass(patience: patience)
                    patience = member.patience
                    member.job?()
                    member.job = nil
                    if working.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { isDone.open() }
                }
            }
        } catch {
            fatalError("\(error)")
        }
        return member
    }
}
