import Glibc

/// Numbers as Python's `int` and `float` read them from text.
enum NumberText {
    static func int(_ text: Text, base: Int) -> Int? {
        var digits = Substring(text.stripped().string)
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits = digits.dropFirst() }
        let marks = [16: "0x", 8: "0o", 2: "0b"]
        if let mark = marks[base], digits.lowercased().hasPrefix(mark) { digits = digits.dropFirst(2) }
        guard let first = digits.first, first != "+", first != "-", (2...36).contains(base),
            let plain = withoutUnderscores(digits)
        else { return nil }
        return Int((isNegative ? "-" : "") + plain, radix: base)
    }

    static func float(_ text: Text) -> Double? {
        let text = text.stripped().string.lowercased()
        let magnitude = text.drop { $0 == "+" || $0 == "-" }
        guard text.count - magnitude.count < 2 else { return nil }
        let sign = text.hasPrefix("-") ? -1.0 : 1.0
        switch magnitude {
        case "inf", "infinity": return sign * .infinity
        case "nan": return .nan
        default: break
        }
        guard var plain = withoutUnderscores(magnitude), plain.contains(where: \.isNumber),
            plain.allSatisfy({ $0.isASCII && ($0.isNumber || ".e+-".contains($0)) })
        else { return nil }
        if plain.hasPrefix(".") { plain = "0" + plain }
        plain = plain.replacing(".e", with: ".0e")
        if plain.hasSuffix(".") { plain += "0" }
        return Double(plain).map { sign * $0 }
    }

    /// The digits without underscores, which may only stand between two.
    private static func withoutUnderscores(_ text: Substring) -> String? {
        guard text.contains("_") else { return String(text) }
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        return parts.contains(where: \.isEmpty) ? nil : parts.joined()
    }
}

/// Python's `round`, `ceil` and `floor` to so many decimal places.
enum Rounding {
    static func round(_ value: Double, _ precision: Int, _ method: String) -> Double {
        let scale = pow(10, Double(precision))
        switch method {
        case "ceil": return (value * scale).rounded(.up) / scale
        case "floor": return (value * scale).rounded(.down) / scale
        default:
            guard value.isFinite, precision < 300 else { return value }
            if precision <= 0 { return (value * scale).rounded(.toNearestOrEven) / scale }
            // As Python does it: by the decimal digits, correctly rounded.
            var buffer = [CChar](repeating: 0, count: 1024)
            _ = withVaList([Int32(precision), value]) { vsnprintf(&buffer, buffer.count, "%.*f", $0) }
            return strtod(buffer, nil)
        }
    }
}

/// Bytes as people read them, in Jinja's words.
enum FileSize {
    static func text(_ bytes: Double, isBinary: Bool) -> String {
        let base = isBinary ? 1024.0 : 1000.0
        if bytes == 1 { return "1 Byte" }
        if bytes < base { return "\(Int(bytes)) Bytes" }
        let units = ["k", "M", "G", "T", "P", "E", "Z", "Y"]
        var unit = base * base
        var place = 0
        while bytes >= unit, place < units.count - 1 {
            unit *= base
            place += 1
        }
        let name = isBinary ? units[place].uppercased() + "iB" : units[place] + "B"
        var buffer = [CChar](repeating: 0, count: 400)
        _ = withVaList([base * bytes / unit]) { vsnprintf(&buffer, buffer.count, "%.1f", $0) }
        let number = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return "\(number) \(name)"
    }
}
