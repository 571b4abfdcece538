/// Floating-point numbers as Python writes them.
enum FloatText {
    /// The shortest text that is read as the same number: `0.1`, `1e-05`, `1e+16`, `inf`.
    static func shortest(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        // Swift's digits are the same; it chooses another form for the exponent.
        let (sign, digits, exponent) = parts(value)
        guard (-4..<16).contains(exponent) else {
            let rest = digits.dropFirst()
            let magnitude = abs(exponent)
            return sign + digits.prefix(1) + (rest.isEmpty ? "" : ".\(rest)") + (exponent < 0 ? "e-" : "e+")
                + (magnitude < 10 ? "0" : "") + "\(magnitude)"
        }
        if exponent < 0 { return "\(sign)0.\(String(repeating: "0", count: -exponent - 1))\(digits)" }
        let whole = digits.prefix(exponent + 1)
        let rest = digits.dropFirst(exponent + 1)
        return sign + whole + String(repeating: "0", count: exponent + 1 - whole.count) + "."
            + (rest.isEmpty ? "0" : rest)
    }

    /// The sign, the significant digits and the exponent of the first.
    private static func parts(_ value: Double) -> (String, String, Int) {
        var text = Substring(value.description)
        let sign = text.hasPrefix("-") ? "-" : ""
        text = text.drop { $0 == "-" }
        let halves = text.split(separator: "e")
        var exponent = halves.count > 1 ? Int(halves[1]) ?? 0 : 0
        let pieces = halves[0].split(separator: ".", omittingEmptySubsequences: false)
        var digits = pieces.joined()
        exponent += pieces[0].count - 1
        let zeros = digits.prefix { $0 == "0" }.count
        guard zeros < digits.count else { return (sign, "0", 0) }
        digits.removeFirst(zeros)
        exponent -= zeros
        while digits.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        return (sign, digits, exponent)
    }
}
