@preconcurrency import Glibc
import Synchronization

/// Lines for people, on standard error; results go to standard output.
///
/// A line is one `write`, so that lines of several ranks don't mix, and begins with the rank where there are several.
public enum Log {
    private static let state = Mutex(State())

    private struct State {
        var prefix = ""
        var isQuiet = false
        /// Redraws what the terminal's last line shows, after a line was written above it.
        var status = ""
    }

    public static let isTerminal = isatty(2) != 0

    /// Names this process in every line from now on, as "[rank 3] ".
    public static func setPrefix(_ prefix: String) { state.withLock { $0.prefix = prefix } }

    /// Leaves out all but warnings and errors: what ranks other than the first do.
    public static func setQuiet(_ isQuiet: Bool) { state.withLock { $0.isQuiet = isQuiet } }

    public static func line(_ text: String) { write(text, always: false) }
    public static func warning(_ text: String) { write("warning: \(text)", always: true) }
    public static func error(_ text: String) { write("error: \(text)", always: true) }

    /// Shows a text as the terminal's last line, below all others; an empty one removes it.
    ///
    /// Does nothing where there is no terminal.
    public static func status(_ text: String) {
        guard isTerminal else { return }
        state.withLock { state in
            guard !state.isQuiet else { return }
            state.status = text
            put("\r\u{1b}[K\(text)")
        }
    }

    private static func write(_ text: String, always: Bool) {
        state.withLock { state in
            guard always || !state.isQuiet else { return }
            let erase = state.status.isEmpty ? "" : "\r\u{1b}[K"
            // Lines name what files have in them, which may be anything.
            put("\(erase)\(state.prefix)\(printable(text, keepsLines: true))\n\(state.status)")
        }
    }

    private static func put(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let written = Glibc.write(2, rest.baseAddress, rest.count)
                if written < 0 && errno != EINTR { return }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(max(0, written)))
            }
        }
    }
}
