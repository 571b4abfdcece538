import Dispatch
import Glibc
import Shared
import Synchronization

/// Ends this process when a call that waits for other ranks doesn't return: one of them hangs, or the network is cut.
///
/// MPI itself waits for ever. The rank says what it waited for, and its launcher ends the others.
enum Watchdog {
    /// When the call at hand began, in nanoseconds of the monotonic clock; 0 between calls.
    private static let began = Atomic<UInt64>(0)
    /// The name of the call, which is a literal: where its bytes are.
    private static let name = Atomic<UInt>(0)

    /// Watches from now on, for the life of the process.
    ///
    /// - Parameter minutes: The longest that a call may take.
    static func start(minutes: Float) {
        let limit = UInt64(Double(minutes) * 60e9)
        let thread = DispatchQueue(label: "watchdog", qos: .userInteractive)
        @Sendable func look() {
            let start = began.load(ordering: .acquiring)
            if start > 0, now > start + limit { end(minutes) }
            thread.asyncAfter(deadline: .now() + .nanoseconds(Int(min(limit / 4, 5_000_000_000))), execute: look)
        }
        thread.async(execute: look)
    }

    /// Runs a call that waits for other ranks, from the one thread that makes such calls.
    static func watch<R>(_ call: StaticString, _ body: () -> R) -> R {
        name.store(UInt(bitPattern: call.utf8Start), ordering: .relaxed)
        began.store(now, ordering: .releasing)
        defer { began.store(0, ordering: .releasing) }
        return body()
    }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private static func end(_ minutes: Float) -> Never {
        let call = UnsafePointer<CChar>(bitPattern: name.load(ordering: .relaxed)).map { String(cString: $0) }
        Log.error(
            "\(call ?? "MPI") has waited for the other ranks for \(minutes) minutes (--dist-timeout): one of them hangs, "
                + "or the network between them is cut; the last checkpoint is whole, and --resume goes on from it")
        _exit(ExitCode.failed)
    }
}
