import Glibc

/// Python's format of one value: `[[fill]align][sign][#][0][width][,][.precision][type]`.
struct FormatSpec {
    var fill: Unicode.Scalar = " "
    /// nil for what the type has: numbers on the right, others on the left.
    var align: Unicode.Scalar?
    var sign: Unicode.Scalar = "-"
    var isAlternate = false
    var width = 0
    var grouping: Unicode.Scalar?
    var precision: Int?
    var type: Unicode.Scalar?

    init() {}

    init(_ source: ArraySlice<Unicode.Scalar>) throws(Failure) {
        var rest = source
        let aligns: [Unicode.Scalar] = ["<", ">", "^", "="]
        if rest.count > 1, aligns.contains(rest[rest.startIndex + 1]), let first = rest.first {
            fill = first
            align = rest[rest.startIndex + 1]
            rest = rest.dropFirst(2)
        } else if let first = rest.first, aligns.contains(first) {
            align = first
            rest = rest.dropFirst()
        }
        if let first = rest.first, ["+", "-", " "].contains(first) {
            sign = first
            rest = rest.dropFirst()
        }
        if rest.first == "#" {
            isAlternate = true
            rest = rest.dropFirst()
        }
        if rest.first == "0" {
            if align == nil { (fill, align) = ("0", "=") }
            rest = rest.dropFirst()
        }
        width = Self.number(&rest) ?? 0
        if let first = rest.first, first == "," || first == "_" {
            grouping = first
            rest = rest.dropFirst()
        }
        if rest.first == "." {
            rest = rest.dropFirst()
            guard let number = Self.number(&rest) else { throw Failure("Format specifier missing precision") }
            precision = number
        }
        type = rest.popFirst()
        guard rest.isEmpty else { throw Failure("Invalid format specifier") }
    }

    private static func number(_ rest: inout ArraySlice<Unicode.Scalar>) -> Int? {
        let digits = rest.prefix { ("0"..."9").contains($0) }
        rest = rest.dropFirst(digits.count)
        return Int(String(String.UnicodeScalarView(digits)))
    }

    /// The value as `format` gives it.
    func apply(to value: Value, _ rendering: Rendering) throws(Failure) -> Text {
        switch (value, type) {
        case (.bool, nil), (_, "s"), (.string, nil), (.markup, nil):
            guard value.text != nil || type == nil else { throw unknown(value) }
            return try pad(text(try value.printed()), isNumber: false, rendering)
        case (.int, _), (.bool, _), (.float, _):
            guard let number = value.number else { throw unknown(value) }
            return try pad(try digits(number, value), isNumber: true, rendering)
        default:
            guard type == nil, width == 0, precision == nil else {
                throw Failure("unsupported format string passed to \(value.typeName).__format__")
            }
            return try value.printed()
        }
    }

    /// The value as `%` gives it.
    func percent(_ conversion: Unicode.Scalar, _ value: Value, _ rendering: Rendering) throws(Failure) -> Text {
        if case .undefined(let undefined) = value, conversion != "s", conversion != "r" { throw undefined.failure }
        switch conversion {
        case "s": return try pad(text(try value.printed()), isNumber: false, rendering)
        case "r", "a": return try pad(text(try value.represented()), isNumber: false, rendering)
        case "c":
            if let text = value.text, text.count == 1 { return try pad(text, isNumber: false, rendering) }
            guard let scalar = value.int.flatMap({ UInt32(exactly: $0) }).flatMap(Unicode.Scalar.init) else {
                throw Failure("%c requires int or char")
            }
            return try pad(Text([scalar]), isNumber: false, rendering)
        default: break
        }
        guard let number = value.number else {
            throw Failure("%\(conversion) format: a real number is required, not \(value.typeName)")
        }
        var spec = self
        switch conversion {
        case "d", "i", "u", "x", "X", "o":
            spec.type = ["x", "X", "o"].contains(conversion) ? conversion : "d"
            guard let int = Int(exactly: number.double.rounded(.towardZero)) else {
                throw Failure("cannot convert the float to an integer")
            }
            let whole: Number = if case .int = number { number } else { .int(int) }
            return try spec.pad(try spec.digits(whole, value), isNumber: true, rendering)
        case "e", "E", "f", "F", "g", "G":
            spec.type = conversion
            return try spec.pad(try spec.digits(.float(number.double), value), isNumber: true, rendering)
        default: throw Failure("unsupported format character '\(conversion)'")
        }
    }

    private func unknown(_ value: Value) -> Failure {
        Failure("Unknown format code '\(type.map(String.init) ?? "")' for object of type '\(value.typeName)'")
    }

    private func text(_ text: Text) -> Text {
        precision.map { text.slice(0..<min($0, text.count)) } ?? text
    }

    private func digits(_ number: Number, _ value: Value) throws(Failure) -> Text {
        let isNegative = number.double < 0 || number.double.sign == .minus
        let prefix = isNegative ? "-" : sign == "-" ? "" : String(sign)
        if case .int(let int) = number, type == nil || "dxXobn".unicodeScalars.contains(type ?? "d") {
            let (radix, mark) =
                switch type {
                case "x", "X": (16, "0x")
                case "o": (8, "0o")
                case "b": (2, "0b")
                default: (10, "")
                }
            let digits = String(int.magnitude, radix: radix, uppercase: type == "X")
            return Text(prefix + (isAlternate ? mark : "") + grouped(digits))
        }
        guard type == nil || "eEfFgG%".unicodeScalars.contains(type ?? "g") else { throw unknown(value) }
        let magnitude = abs(number.double)
        guard let type else {
            let plain = precision.map { Self.general(magnitude, $0, "g") } ?? FloatText.shortest(magnitude)
            return Text(prefix + grouped(plain))
        }
        switch type {
        case "%": return Text(prefix + grouped(Self.fixed(100 * magnitude, precision ?? 6)) + "%")
        case "f", "F": return Text(prefix + grouped(Self.fixed(magnitude, precision ?? 6)))
        default: return Text(prefix + grouped(Self.general(magnitude, precision ?? 6, type)))
        }
    }

    private static func fixed(_ value: Double, _ precision: Int) -> String { printf(value, "f", precision) }

    private static func general(_ value: Double, _ precision: Int, _ type: Unicode.Scalar) -> String {
        printf(value, type, precision)
    }

    private static func printf(_ value: Double, _ type: Unicode.Scalar, _ precision: Int) -> String {
        var buffer = [CChar](repeating: 0, count: 2048)
        let format = "%.\(min(precision, 1000))\(type)"
        let count = withVaList([value]) { vsnprintf(&buffer, buffer.count, format, $0) }
        return String(decoding: buffer.prefix(Int(count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The digits before the point in threes.
    private func grouped(_ digits: String) -> String {
        guard let grouping else { return digits }
        let whole = digits.prefix(while: \.isNumber)
        var result = ""
        for (i, digit) in whole.enumerated() {
            if i > 0, (whole.count - i) % 3 == 0 { result.unicodeScalars.append(grouping) }
            result.append(digit)
        }
        return result + digits.dropFirst(whole.count)
    }

    private func pad(_ text: Text, isNumber: Bool, _ rendering: Rendering) throws(Failure) -> Text {
        let missing = width - text.count
        guard missing > 0 else { return text }
        let fill = try Text([isNumber || self.fill != "0" ? self.fill : " "]).repeated(missing, rendering)
        switch align ?? (isNumber ? ">" : "<") {
        case "<": return text + fill
        case "^":
            let left = fill.slice(0..<missing / 2)
            return left + text + fill.slice(0..<missing - missing / 2)
        case "=" where isNumber:
            let hasSign = [UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: " ")].contains(text.utf8.first ?? 0)
            return Text(text.utf8.prefix(hasSign ? 1 : 0) + fill.utf8 + text.utf8.dropFirst(hasSign ? 1 : 0))
        default: return fill + text
        }
    }
}
