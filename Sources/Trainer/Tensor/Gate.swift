import Dispatch
import Shared
import Synchronization

/// A gate that one thread opens and another passes, alternately; it closes after each pass.
///
/// What was written before it opened is seen by who passes. Waking a thread takes some 40 µs, as long as a short loop of
/// a training step, so who finds the gate closed looks again for a while before it sleeps.
final class Gate: Sendable {
    private static let closed = 0, asleep = 1, opened = 2
    private let state = Atomic<Int>(closed)
    private let awake = DispatchSemaphore(value: 0)

    init() {}

    /// Opens the gate, which is closed.
    func open() {
        if state.exchange(Self.opened, ordering: .acquiringAndReleasing) == Self.asleep { awake.signal() }
    }

    /// Waits until the gate is open, passes and closes it.
    ///
    /// - Parameter patience: How long to keep the CPU while waiting.
    func pass(patience: Duration) {
        if !opens(within: patience) {
            let (sleeps, _) = state.compareExchange(
                expected: Self.closed, desired: Self.asleep, ordering: .acquiringAndReleasing)
            if sleeps { awake.wait() }
        }
        state.store(Self.closed, ordering: .releasing)
    }

    private func opens(within patience: Duration) -> Bool {
        guard patience > .zero else { return false }
        let end = ContinuousClock.now + patience
        repeat {
            for _ in 0..<64 {
                if state.load(ordering: .acquiring) == Self.opened { return true }
                Machine.pause()
            }
        } while ContinuousClock.now < end
        return false
    }
}
