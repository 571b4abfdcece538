@preconcurrency import Glibc
import Synchronization

/// Ctrl-C and SIGTERM, as something to ask for between two pieces of work.
///
/// The first signal only sets a flag, so that the piece of work at hand is finished and saved; a second Ctrl-C ends
/// the program at once.
public enum Interrupt {
    private static let flag = Atomic<Bool>(false)

    /// Catches SIGINT and SIGTERM from now on: on the main thread, which the system prefers for them.
    public static func install() {
        SignalHandler.install([SIGINT, SIGTERM]) { number in
            if Interrupt.flag.exchange(true, ordering: .relaxed) && number == SIGINT { _exit(ExitCode.interrupted) }
        }
    }

    public static var isRequested: Bool { flag.load(ordering: .relaxed) }

    /// Throws `Interrupted` if a signal has come.
    public static func check() throws(Interrupted) {
        if isRequested { throw Interrupted() }
    }

    /// Waits, until a signal comes at most.
    public static func wait(_ pause: Duration) throws(Interrupted) {
        let end = ContinuousClock.now + pause
        while ContinuousClock.now < end {
            try check()
            usleep(20_000)
        }
    }
}

/// Thrown where work stops early, but in order, because of Ctrl-C or SIGTERM.
public struct Interrupted: Error, CustomStringConvertible {
    public init() {}
    public var description: String { "interrupted" }
}
