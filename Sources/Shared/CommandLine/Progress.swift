/// A progress bar with rate and time left, on a terminal's last line; silent elsewhere.
///
/// `update` may be called as often as wanted: the line is redrawn at most ten times a second.
public final class Progress {
    private let label: String
    private let unit: String
    private let total: Double
    private let start = ContinuousClock.now
    private var lastDrawn: ContinuousClock.Instant?
    private let from: Double

    /// - Parameters:
    ///   - label: What is being done.
    ///   - total: The amount of work; 0 if it isn't known.
    ///   - unit: What is counted, for the rate: "tokens", "MB".
    ///   - from: How much was done before this run, which the rate leaves out.
    public init(_ label: String, total: Double, unit: String, from: Double = 0) {
        self.label = label
        self.total = total
        self.unit = unit
        self.from = from
    }

    /// Shows that `done` of the work is done, with a note behind it.
    public func update(_ done: Double, note: @autoclosure () -> String = "") {
        guard Log.isTerminal else { return }
        let now = ContinuousClock.now
        if let lastDrawn, now - lastDrawn < .milliseconds(100) { return }
        lastDrawn = now
        Log.status(line(done: done, elapsed: (now - start).seconds, note: note()))
    }

    /// Removes the bar.
    public func finish() { Log.status("") }

    func line(done: Double, elapsed: Double, note: String) -> String {
        let rate = elapsed > 0 ? (done - from) / elapsed : 0
        var text = "\(label) "
        if total > 0 {
            let share = min(1, max(0, done / total))
            let filled = Int(share * 24)
            text += "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: 24 - filled) + "] "
            text += "\(Int(share * 100))% "
        }
        text += "\(shortNumber(rate)) \(unit)/s"
        if total > 0, rate > 0 { text += ", \(shortTime((total - done) / rate)) left" }
        return note.isEmpty ? text : "\(text) | \(note)"
    }
}

extension Duration {
    /// The duration in seconds.
    public var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// Three significant digits with a suffix: 12.3k, 4.56M.
public func shortNumber(_ value: Double) -> String {
    var (scaled, suffixes) = (value, ["", "k", "M", "G", "T"][...])
    while abs(scaled) >= 999.5, suffixes.count > 1 {
        scaled /= 1000
        suffixes = suffixes.dropFirst()
    }
    let isWhole = suffixes.first == "" && scaled == scaled.rounded()
    let decimals = isWhole ? 0 : abs(scaled) < 9.995 ? 2 : abs(scaled) < 99.95 ? 1 : 0
    return fixed(scaled, decimals) + (suffixes.first ?? "")
}

/// 45 s, 3 min 12 s, 2 h 5 min.
public func shortTime(_ seconds: Double) -> String {
    let whole = Int(max(0, seconds).rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(whole % 60) s" }
    return "\(whole / 3600) h \(whole % 3600 / 60) min"
}

/// `value` with a fixed number of decimals, rounded to nearest.
public func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return "\(value)" }
    var power = 1.0
    for _ in 0..<decimals { power *= 10 }
    let scaled = (abs(value) * power).rounded()
    guard scaled < 9e18 else { return "\(value)" }
    let digits = String(UInt64(scaled))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard decimals > 0 else { return sign + digits }
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    return sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
}
