import Shared
import Synchronization

/// Where a rank's time goes: seconds and calls of each phase of a run.
///
///     try Profile.measure(.draft) { try draft.learn(features, lesson, weights: weights, in: workspace) }
///
/// A phase within another counts for itself alone: an all-reduce of the target's is communication, not target. So the
/// phases add up to no more than the time that passed. It is always on, at two looks at the clock a call, and counts
/// what the one thread of a rank does that communicates.
final class Profile: Sendable {
    enum Phase: Int, CaseIterable, Sendable {
        /// Starting MPI, which waits for all ranks to be there.
        case start
        /// Reading the target's weights.
        case loading
        /// Reading samples from the store; reading and keeping the target's features, with --target-cache.
        case data
        /// The target: hidden states, and what it would say next.
        case target
        /// The draft, forward and backward.
        case draft
        /// Calls of MPI, waiting for other ranks included.
        case communication
        /// The gradient's norm and the update of the weights.
        case optimizer
        /// Writing checkpoints.
        case checkpoint

        var name: String { "\(self)" }
    }

    private struct State {
        var times = PhaseTimes()
        var current: Phase?
        var since: ContinuousClock.Instant

        /// Counts the time since the last change for the phase it belongs to.
        mutating func change(to phase: Phase?, _ now: ContinuousClock.Instant) {
            let seconds = (now - since).seconds
            times.elapsed += seconds
            if let current { times[current].seconds += seconds }
            (current, since) = (phase, now)
        }
    }

    private let now: @Sendable () -> ContinuousClock.Instant
    private let state: Mutex<State>

    /// This process's.
    private static let shared = Profile()

    init(now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.now = now
        state = Mutex(State(since: now()))
    }

    /// Runs `body` and counts its time for `phase`, without what it measures itself.
    static func measure<Result, Failure: Error>(
        _ phase: Phase, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try shared.measure(phase, body)
    }

    /// The phase that this process is in, if any.
    static var current: Phase? { shared.state.withLock(\.current) }

    /// What this process has measured since its first phase began.
    static var times: PhaseTimes { shared.times }

    func measure<Result, Failure: Error>(
        _ phase: Phase, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let outer = state.withLock { state in
            let outer = state.current
            state.change(to: phase, now())
            state.times[phase].calls += 1
            return outer
        }
        defer { state.withLock { $0.change(to: outer, now()) } }
        return try body()
    }

    var times: PhaseTimes {
        state.withLock { state in
            state.change(to: state.current, now())
            return state.times
        }
    }
}

/// Seconds and calls of each phase, from a profile's beginning or between two moments.
struct PhaseTimes: Sendable {
    struct Entry: Equatable, Sendable {
        var seconds = 0.0
        var calls = 0
    }

    private var entries = [Entry](repeating: Entry(), count: Profile.Phase.allCases.count)
    /// All seconds that passed, in phases and between them.
    var elapsed = 0.0

    subscript(phase: Profile.Phase) -> Entry {
        get { entries[phase.rawValue] }
        set { entries[phase.rawValue] = newValue }
    }

    /// Seconds that belong to no phase.
    var other: Double { max(0, elapsed - entries.reduce(0) { $0 + $1.seconds }) }

    /// What two spans of time came to together.
    static func + (a: PhaseTimes, b: PhaseTimes) -> PhaseTimes {
        var times = a
        for phase in Profile.Phase.allCases {
            times[phase].seconds += b[phase].seconds
            times[phase].calls += b[phase].calls
        }
        times.elapsed += b.elapsed
        return times
    }

    /// What came between `earlier` and this moment of the same profile.
    func since(_ earlier: PhaseTimes) -> PhaseTimes {
        var times = self
        for phase in Profile.Phase.allCases {
            times[phase].seconds -= earlier[phase].seconds
            times[phase].calls -= earlier[phase].calls
        }
        times.elapsed -= earlier.elapsed
        return times
    }
}
