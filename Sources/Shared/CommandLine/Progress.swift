/// Progress with rate and time left: a bar on a terminal's last line, a line a minute elsewhere, as in a log or under `mpirun`.
///
/// `update` may be called as often as wanted: the bar is redrawn at most ten times a second.
public final class Progress {
    private let label: String
    private let unit: String
    private let total: Double
    private let start = ContinuousClock.now
    private var lastDrawn: ContinuousClock.Instant?
    private let isLogged: Bool
    /// Between two lines of a log.
    private static let interval = Duration.seconds(60)
    private let from: Double

    /// - Parameters:
    ///   - label: What is being done.
    ///   - total: The amount of work; 0 if it isn't known.
    ///   - unit: What is counted, for the rate: "tokens", "MB".
    ///   - from: How much was done before this run, which the rate leaves out.
    ///   - isLogged: Whether there are lines where there is no terminal; false for what logs lines of its own.
    public init(_ label: String, total: Double, unit: String, from: Double = 0, isLogged: Bool = true) {
        self.label = label
        self.total = total
        self.unit = unit
        self.from = from
        self.isLogged = isLogged
    }

    /// Shows that `done` of the work is done, with a note after it.
    public func update(_ done: Double, note: @autoclosure () -> String = "") {
        guard Log.isTerminal || isLogged else { return }
        let now = ContinuousClock.now
        guard Log.isTerminal else {
            guard now - (lastDrawn ?? start) >= Self.interval else { return }
            lastDrawn = now
            return Log.line(line(done: done, elapsed: (now - start).seconds, note: note(), hasBar: false))
        }
        if let lastDrawn, now - lastDrawn < .milliseconds(100) { return }
        lastDrawn = now
        Log.status(line(done: done, elapsed: (now - start).seconds, note: note()))
    }

    /// Removes the bar.
    public func finish() { Log.status("") }

    func line(done: Double, elapsed: Double, note: String, hasBar: Bool = true) -> String {
        let rate = elapsed > 0 ? (done - from) / elapsed : 0
        var text = "\(label) "
        if total > 0 {
            let share = min(1, max(0, done / total))
            let filled = Int(share * 24)
            if hasBar {
                text += "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: 24 - filled) + "] "
            }
            text += "\(Int(share * 100))% "
        }
        text += "\(shortNumber(rate)) \(unit)/s"
        if total > 0, rate > 0 { text += ", \(shortTime((total - done) / rate)) left" }
        return note.isEmpty ? text : "\(text) | \(note)"
    }
}
