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
        width = try Self.number(&rest) ?? 0
        if let first = rest.first, first == "," || first == "_" {
            grouping = first
            rest = rest.dropFirst()
        }
        if rest.first == "." {
            rest = rest.dropFirst()
            guard let number = try Self.number(&rest) else { throw .value("Format specifier missing precision") }
            precision = number
        }
        type = rest.popFirst()
        guard rest.isEmpty else { throw .value("Invalid format specifier") }
    }

    /// The decimal number that comes next; nil for none.
    static func number(_ rest: inout ArraySlice<Unicode.Scalar>) throws(Failure) -> Int? {
        let digits = rest.prefix { ("0"..."9").contains($0) }
        guard !digits.isEmpty else { return nil }
        rest = rest.dropFirst(digits.count)
        guard let number = Int(String(String.UnicodeScalarView(digits))) else {
            throw .value("Too many decimal digits in format string")
        }
        return number
    }

    /// The value as `format` gives it.
    func apply(to value: Value, _ rendering: Rendering) throws(Failure) -> Text {
        switch (value, type) {
        case (.bool, nil), (_, "s"), (.string, nil), (.markup, nil):
            guard value.text != nil || type == nil else { throw unknown(value) }
            return try pad(try text(try value.printed(rendering.budget), rendering.budget), isNumber: false, rendering)
        case (.int, _), (.bool, _), (.float, _):
            guard let number = value.number else { throw unknown(value) }
            return try pad(try digits(number, value, rendering.budget), isNumber: true, rendering)
        default:
            guard type == nil, width == 0, precision == nil else {
                throw .type("unsupported format string passed to \(value.typeName).__format__")
            }
            return try value.printed(rendering.budget)
        }
    }

    /// The value as `%` gives it.
    func percent(_ conversion: Unicode.Scalar, _ value: Value, _ rendering: Rendering) throws(Failure) -> Text {
        if case .undefined(let undefined) = value, conversion != "s", conversion != "r" { throw undefined.failure }
        switch conversion {
        case "s":
            return try pad(try text(try value.printed(rendering.budget), rendering.budget), isNumber: false, rendering)
        case "r", "a":
            return try pad(
                try text(try value.represented(rendering.budget), rendering.budget), isNumber: false, rendering)
        case "c":
            if let text = value.text, text.count == 1 { return try pad(text, isNumber: false, rendering) }
            guard let scalar = value.int.flatMap({ UInt32(exactly: $0) }).flatMap(Unicode.Scalar.init) else {
                throw .type("%c requires int or char")
            }
            return try pad(try rendering.budget.text(scalar), isNumber: false, rendering)
        default: break
        }
        guard let number = value.number else {
            throw .type("%\(conversion) format: a real number is required, not \(value.typeName)")
        }
        var spec = self
        switch conversion {
        case "d", "i", "u", "x", "X", "o":
            spec.type = ["x", "X", "o"].contains(conversion) ? conversion : "d"
            let whole: Number =
                if case .float(let float) = number { .int(try Integer.truncated(float)) } else { number }
            return try spec.pad(try spec.digits(whole, value, rendering.budget), isNumber: true, rendering)
        case "e", "E", "f", "F", "g", "G":
            spec.type = conversion
            return try spec.pad(
                try spec.digits(.float(number.double), value, rendering.budget), isNumber: true, rendering)
        default: throw .value("unsupported format character '\(conversion)'")
        }
    }

    private func unknown(_ value: Value) -> Failure {
        .value("Unknown format code '\(type.map(String.init) ?? "")' for object of type '\(value.typeName)'")
    }

    private func text(_ text: Text, _ budget: Budget) throws(Failure) -> Text {
        guard let precision else { return text }
        try budget.work(bytes: text.utf8.count)
        return try budget.text(text.bytes(0..<min(precision, text.count)))
    }

    private func digits(_ number: Number, _ value: Value, _ budget: Budget) throws(Failure) -> Text {
        let isNegative: Bool =
            switch number {
            case .int(let int): int < 0
            case .float(let float): float.sign == .minus
            }
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
            return try budget.text(prefix + (isAlternate ? mark : "") + grouped(digits))
        }
        guard type == nil || "eEfFgG%".unicodeScalars.contains(type ?? "g") else { throw unknown(value) }
        let magnitude = abs(number.double)
        let digits: String =
            switch type {
            case nil:
                try precision.map { (places) throws(Failure) in try CFormat.text(magnitude, "g", places: places) }
                    ?? FloatText.shortest(magnitude)
            case "%": try CFormat.text(100 * magnitude, "f", places: precision ?? 6)
            case "F": try CFormat.text(magnitude, "f", places: precision ?? 6)
            case let type?: try CFormat.text(magnitude, type, places: precision ?? 6)
            }
        return try budget.text(prefix + grouped(digits) + (type == "%" ? "%" : ""))
    }

    /// The digits before the point in threes.
    private func grouped(_ digits: String) -> String {
        guard let grouping else { return digits }
        let whole = digits.prefix(while: \.isNumber)
        let count = whole.count
        var result = ""
        for (i, digit) in whole.enumerated() {
            if i > 0, (count - i) % 3 == 0 { result.unicodeScalars.append(grouping) }
            result.append(digit)
        }
        return result + digits.dropFirst(count)
    }

    private func pad(_ text: Text, isNumber: Bool, _ rendering: Rendering) throws(Failure) -> Text {
        let budget = rendering.budget
        try budget.work(bytes: text.utf8.count)
        // Neither is negative.
        let missing = width - text.count
        guard missing > 0 else { return text }
        let fill = try budget.text(isNumber || self.fill != "0" ? self.fill : " ")
        var (before, sign) = (missing, 0)
        switch align ?? (isNumber ? ">" : "<") {
        case "<": before = 0
        case "^": before = missing / 2
        case "=" where isNumber:
            sign = [UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: " ")].contains(text.utf8.first ?? 0) ? 1 : 0
        default: break
        }
        var result = TextBuilder(budget)
        try result.append(text.utf8.prefix(sign))
        try result.append(fill, times: before)
        try result.append(text.utf8.dropFirst(sign))
        try result.append(fill, times: missing - before)
        return try result.text()
    }
}
