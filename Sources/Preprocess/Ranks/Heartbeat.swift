@preconcurrency import Glibc
import Shared
import Synchronization

/// Touches a file every second, so that other processes see that this one lives.
final class Heartbeat: Sendable {
    private let isStopped = Mutex(false)

    init(_ file: OpenFile) throws(WorkerThreadError) {
        _ = try WorkerThread { [weak self] in
            while let self, !self.isStopped.withLock({ $0 }) {
                file.touch()
                usleep(1_000_000)
            }
        }
    }

    func stop() { isStopped.withLock { $0 = true } }
}

/// Looks whether another process still touches a file.
///
/// Times are only compared with each other and measured by this process's clock: hosts' clocks may differ.
struct Pulse {
    private let who: String
    private let limit: Duration
    private var last: Directory.Status?
    private var changed = ContinuousClock.now

    init(of who: String, limit: Duration) { (self.who, self.limit) = (who, limit) }

    /// - Throws: `LaunchError` if nothing has changed for the time limit.
    mutating func check(_ name: String, in directory: Directory) throws {
        let status = try directory.status(of: name)
        if status != last { (last, changed) = (status, .now) }
        guard .now - changed < limit else {
            throw LaunchError(message: "\(who) has given no sign of life for \(shortTime(limit.seconds))")
        }
    }
}
