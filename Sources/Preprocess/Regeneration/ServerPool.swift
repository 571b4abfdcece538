@preconcurrency import Glibc
import Shared

/// The servers of a run: which one is asked next, and which are left alone because they don't answer.
///
/// The server with the fewest requests under way is asked. One that can't be reached is asked again after a pause that
/// grows; while none can, requests wait, and after `patience` the run ends.
final class ServerPool: Sendable {
    struct Limits: Sendable {
        /// Requests that a server is given at once.
        var concurrency = 8
        /// How often a request is repeated that a server failed to answer.
        var retries = 5
        /// The pause after a first failure, which doubles with each further one.
        var pause = Duration.milliseconds(500)
        var longestPause = Duration.seconds(30)
        /// How long requests wait while no server can be reached.
        var patience = Duration.seconds(600)

        /// The pause after `failures` in a row.
        func pause(after failures: Int) -> Duration { min(longestPause, pause * (1 << min(failures - 1, 20))) }
    }

    enum Verdict { case answered, unreachable, failed }

    private struct Server {
        var underWay = 0
        var failures = 0
        var isLeftAloneUntil: ContinuousClock.Instant?
        var hasAnswered = false
    }

    private struct State {
        var servers: [Server]
        var lastReached = ContinuousClock.now
        var lastProblem = ""
    }

    let urls: [String]
    let limits: Limits
    private let state: Monitor<State>

    /// - Parameter urls: With or without `/v1` at their ends.
    init(_ urls: [String], _ limits: Limits) {
        self.urls = urls.map(HTTPClient.withoutVersion)
        self.limits = limits
        state = Monitor(State(servers: urls.map { _ in Server() }))
    }

    /// The number of the server to ask, which is given back by `release`; waits until there is one.
    ///
    /// - Throws: `ServersGone` after `patience`; `Interrupted`.
    func acquire() throws -> Int {
        while true {
            try Interrupt.check()
            let (found, gone) = state.take { state -> (Int?, String?)? in
                let now = ContinuousClock.now
                let reachable = state.servers.indices.filter {
                    state.servers[$0].isLeftAloneUntil.map { $0 <= now } ?? true
                }
                let free = reachable.filter { state.servers[$0].underWay < limits.concurrency }
                if let best = free.min(by: { state.servers[$0].underWay < state.servers[$1].underWay }) {
                    state.servers[best].underWay += 1
                    return (best, nil)
                }
                let isGone = reachable.isEmpty && now - state.lastReached > limits.patience
                return (nil, isGone ? state.lastProblem : nil)
            }
            if let found { return found }
            if let gone { throw ServersGone(problem: gone) }
            usleep(20_000)
        }
    }

    func release(_ number: Int, _ verdict: Verdict, _ problem: String = "") {
        state.change { state in
            state.servers[number].underWay -= 1
            guard verdict == .unreachable else {
                state.servers[number].failures = 0
                state.servers[number].isLeftAloneUntil = nil
                state.lastReached = .now
                if verdict == .answered { state.servers[number].hasAnswered = true }
                return
            }
            state.servers[number].failures += 1
            state.lastProblem = problem
            state.servers[number].isLeftAloneUntil = .now + limits.pause(after: state.servers[number].failures)
        }
    }

    /// Whether a server has answered a request; one that hasn't may be another kind of server.
    func hasAnswered(_ number: Int) -> Bool { state.take { $0.servers[number].hasAnswered } }
}

/// No server could be reached for long.
struct ServersGone: Error, CustomStringConvertible {
    let problem: String
    var description: String {
        "no server can be reached (\(problem)); the answers so far are kept: run it again to continue"
    }
}
