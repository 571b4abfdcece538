import Glibc

/// Numbers as Python's `int` and `float` read them from text.
enum NumberText {
    /// No number of 64 bits is longer, however many digits follow its point.
    private static let longest = 4096

    static func int(_ text: Text, base: Int) -> Int? {
        guard text.utf8.count <= longest else { return nil }
        var digits = Substring(text.strippedString)
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
        guard text.utf8.count <= longest else { return nil }
        let text = text.strippedString.lowercased()
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

    /// The digits without underscores, of which there may be one between two.
    private static func withoutUnderscores(_ text: Substring) -> String? {
        guard text.contains("_") else { return String(text) }
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        return parts.contains(where: \.isEmpty) ? nil : parts.joined()
    }
}

/// A floating-point number as C's `printf` writes it.
enum CFormat {
    /// More decimal places are refused.
    static let mostPlaces = 1000

    /// - Parameters:
    ///   - conversion: `f`, `e` or `g`, or its capital.
    ///   - places: Decimal places or significant digits, not negative.
    static func text(_ value: Double, _ conversion: Unicode.Scalar, places: Int) throws(Failure) -> String {
        guard places <= mostPlaces else { throw .value("a precision of \(places) is more than \(mostPlaces)") }
        // The largest number has 309 digits before the point.
        var buffer = [CChar](repeating: 0, count: mostPlaces + 400)
        let count = withVaList([value]) { vsnprintf(&buffer, buffer.count, "%.\(places)\(conversion)", $0) }
        return String(decoding: buffer.prefix(Int(count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// Python's `round`, `ceil` and `floor` to a number of decimal places.
enum Rounding {
    static func round(_ value: Double, _ places: Int, _ method: String) throws(Failure) -> Double {
        guard method == "common" else {
            let scale = pow(10, Double(places))
            guard scale > 0 else { throw .value("float division by zero") }
            guard scale.isFinite else { throw .value("int too large to convert to float") }
            guard (value * scale).isFinite else { throw .value("cannot convert float infinity or NaN to integer") }
            return (value * scale).rounded(method == "ceil" ? .up : .down) / scale
        }
        guard value.isFinite, places < 300 else { return value }
        guard places > -309 else { return value.sign == .minus ? -0.0 : 0.0 }
        if places <= 0 {
            let scale = pow(10, Double(-places))
            return (value / scale).rounded(.toNearestOrEven) * scale
        }
        // As Python does it: by the decimal digits, correctly rounded.
        return strtod(try CFormat.text(value, "f", places: places), nil)
    }
}

/// Bytes as people read them, in Jinja's words.
enum FileSize {
    static func text(_ bytes: Double, isBinary: Bool) throws(Failure) -> String {
        let base = isBinary ? 1024.0 : 1000.0
        if bytes == 1 { return "1 Byte" }
        if bytes < base { return "\(try Integer.truncated(bytes)) Bytes" }
        let units = ["k", "M", "G", "T", "P", "E", "Z", "Y"]
        var unit = base * base
        var index = 0
        while bytes >= unit, index < units.count - 1 {
            unit *= base
            index += 1
        }
        let name = isBinary ? units[index].uppercased() + "iB" : units[index] + "B"
        return "\(try CFormat.text(base * bytes / unit, "f", places: 1)) \(name)"
    }
}
