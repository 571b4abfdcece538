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
