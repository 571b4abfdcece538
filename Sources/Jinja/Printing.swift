extension Value {
    /// What Python's `str` gives, and a template writes.
    func printed() throws(Failure) -> Text {
        switch self {
        case .undefined: return ""
        case .string(let text), .markup(let text): return text
        default: return try represented()
        }
    }

    /// What Python's `repr` gives.
    func represented() throws(Failure) -> Text {
        var bytes: [UInt8] = []
        try represent(into: &bytes)
        return Text(bytes)
    }

    private func represent(into bytes: inout [UInt8]) throws(Failure) {
        switch self {
        case .undefined: bytes += "Undefined".utf8
        case .none: bytes += "None".utf8
        case .bool(let value): bytes += (value ? "True" : "False").utf8
        case .int(let value): bytes += "\(value)".utf8
        case .float(let value): bytes += FloatText.shortest(value).utf8
        case .string(let text): text.quote(into: &bytes)
        case .markup(let text):
            bytes += "Markup(".utf8
            text.quote(into: &bytes)
            bytes += ")".utf8
        case .list(let list): try Self.join(list.elements, "[", "]", into: &bytes)
        case .tuple(let list):
            try Self.join(list.elements, "(", list.elements.count == 1 ? ",)" : ")", into: &bytes)
        case .mapping(let mapping):
            bytes += "{".utf8
            for (i, entry) in mapping.entries.enumerated() {
                if i > 0 { bytes += ", ".utf8 }
                try entry.key.represent(into: &bytes)
                bytes += ": ".utf8
                try entry.value.represent(into: &bytes)
            }
            bytes += "}".utf8
        case .object(let object): bytes += object.text.utf8
        }
    }

    private static func join(
        _ elements: [Value], _ open: String, _ close: String, into bytes: inout [UInt8]
    ) throws(Failure) {
        bytes += open.utf8
        for (i, element) in elements.enumerated() {
            if i > 0 { bytes += ", ".utf8 }
            try element.represent(into: &bytes)
        }
        bytes += close.utf8
    }

    /// What is printed, with `&`, `<`, `>` and quotation marks escaped as in HTML; marked text as it is.
    func escaped() throws(Failure) -> Text {
        if case .markup(let text) = self { return text }
        return try printed().escaped
    }

    /// Texts marked as HTML, also those in a list.
    func marked() -> Value {
        switch self {
        case .string(let text): .markup(text)
        case .list(let list): .list(list.elements.map { $0.marked() })
        case .tuple(let list): .tuple(list.elements.map { $0.marked() })
        default: self
        }
    }

    /// All that iterating goes over.
    func iterated() throws(Failure) -> [Value] {
        switch self {
        case .undefined: return []
        case .list(let list), .tuple(let list): return list.elements
        case .mapping(let mapping): return mapping.entries.map(\.key)
        case .string(let text): return text.scalars.map { .string(Text([$0])) }
        case .markup(let text): return text.scalars.map { .markup(Text([$0])) }
        case .object(let object): if let elements = try object.elements() { return elements }
        default: break
        }
        throw Failure("'\(typeName)' object is not iterable")
    }
}

extension Text {
    var escaped: Text {
        guard utf8.contains(where: { Self.escapes[$0] != nil }) else { return self }
        var bytes: [UInt8] = []
        for byte in utf8 {
            if let escape = Self.escapes[byte] { bytes += escape.utf8 } else { bytes.append(byte) }
        }
        return Text(bytes)
    }

    private static let escapes: [UInt8: String] = [
        UInt8(ascii: "&"): "&amp;", UInt8(ascii: "<"): "&lt;", UInt8(ascii: ">"): "&gt;",
        UInt8(ascii: "'"): "&#39;", UInt8(ascii: "\""): "&#34;",
    ]

    /// Appends the text as a string literal of Python's.
    fileprivate func quote(into bytes: inout [UInt8]) {
        let hasSingle = utf8.contains(UInt8(ascii: "'"))
        let quote = hasSingle && !utf8.contains(UInt8(ascii: "\"")) ? UInt8(ascii: "\"") : UInt8(ascii: "'")
        bytes.append(quote)
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\\": bytes += "\\\\".utf8
            case "\n": bytes += "\\n".utf8
            case "\r": bytes += "\\r".utf8
            case "\t": bytes += "\\t".utf8
            case _ where scalar.value == UInt32(quote): bytes += [UInt8(ascii: "\\"), quote]
            case " "..."~": bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            case _ where scalar.isPrintable: bytes += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
            default:
                let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                let digits = String(scalar.value, radix: 16)
                bytes += "\\\(letter)\(String(repeating: "0", count: width - digits.count))\(digits)".utf8
            }
        }
        bytes.append(quote)
    }
}

extension Unicode.Scalar {
    /// What Python's `str.isprintable` holds for.
    var isPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: self == " "
        default: true
        }
    }
}

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
