@preconcurrency import Glibc
import Synchronization

/// Ctrl-C and SIGTERM, as something to ask for between two pieces of work.
///
/// The first signal only sets a flag, so that the piece of work at hand is finished and saved; a second Ctrl-C ends
/// the program at once.
public enum Interrupt {
    private static let flag = Atomic<Bool>(false)

    /// Catches SIGINT and SIGTERM from now on, also if the program that started this one had blocked them.
    public static func install() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                if Interrupt.flag.exchange(true, ordering: .relaxed) && number == SIGINT { _exit(ExitCode.interrupted) }
            }
        }
    }

    public static var isRequested: Bool { flag.load(ordering: .relaxed) }

    /// Throws `Interrupted` if a signal has come.
    public static func check() throws(Interrupted) {
        if isRequested { throw Interrupted() }
    }
}
