/// Numbers as Python writes them: decimal, `0x`, `0o`, `0b`, `1_000`, `1.5e-3`.
enum NumberLiteral {
    /// Reads the number that begins at a digit.
    static func read(_ source: [UInt8], _ position: inout Int) throws(Failure) -> Token.Kind {
        let start = position
        if source[start] == UInt8(ascii: "0"), start + 1 < source.count {
            let radix: Int? =
                switch source[start + 1] | 0x20 {
                case UInt8(ascii: "x"): 16
                case UInt8(ascii: "o"): 8
                case UInt8(ascii: "b"): 2
                default: nil
                }
            if let radix {
                position += 2
                let digits = digits(source, &position) { Character(Unicode.Scalar($0)).hexDigitValue ?? 99 < radix }
                return .int(try checked(Int(digits, radix: radix), start))
            }
        }
        var text = decimal(source, &position)
        var isFloat = false
        if peek(source, position) == UInt8(ascii: "."), isDigit(peek(source, position + 1)) {
            position += 1
            text += "." + decimal(source, &position)
            isFloat = true
        }
        if peek(source, position) | 0x20 == UInt8(ascii: "e") {
            let sign = peek(source, position + 1)
            let hasSign = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
            if isDigit(peek(source, position + (hasSign ? 2 : 1))) {
                position += hasSign ? 2 : 1
                text += "e" + (sign == UInt8(ascii: "-") ? "-" : "") + decimal(source, &position)
                isFloat = true
            }
        }
        return isFloat ? .float(Double(text) ?? .infinity) : .int(try checked(Int(text), start))
    }

    private static func checked(_ value: Int?, _ position: Int) throws(Failure) -> Int {
        guard let value else { throw .syntax("the integer has no digits or more than 64 bits", at: position) }
        return value
    }

    private static func peek(_ source: [UInt8], _ position: Int) -> UInt8 {
        position < source.count ? source[position] : 0
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func decimal(_ source: [UInt8], _ position: inout Int) -> String {
        digits(source, &position, isDigit)
    }

    /// Digits, between which there may be single underscores.
    private static func digits(_ source: [UInt8], _ position: inout Int, _ isDigit: (UInt8) -> Bool) -> String {
        var digits: [UInt8] = []
        while isDigit(peek(source, position))
            || (peek(source, position) == UInt8(ascii: "_") && isDigit(peek(source, position + 1)))
        {
            if source[position] != UInt8(ascii: "_") { digits.append(source[position]) }
            position += 1
        }
        return String(decoding: digits, as: UTF8.self)
    }
}

/// Strings between quotation marks of either kind, with Python's escapes.
enum StringLiteral {
    /// Reads the string that begins at a quotation mark.
    static func read(_ source: [UInt8], _ position: inout Int) throws(Failure) -> Text {
        let (start, quote) = (position, source[position])
        var bytes: [UInt8] = []
        position += 1
        while position < source.count, source[position] != quote {
            if source[position] == UInt8(ascii: "\\") {
                try escape(source, &position, into: &bytes)
            } else {
                bytes.append(source[position])
                position += 1
            }
        }
        guard position < source.count else { throw .syntax("the string isn't closed", at: start) }
        position += 1
        return Text(bytes)
    }

    private static func escape(
        _ source: [UInt8], _ position: inout Int, into bytes: inout [UInt8]
    ) throws(Failure) {
        let start = position
        guard start + 1 < source.count else {
            position += 1
            return
        }
        let escape = source[start + 1]
        position += 2
        switch escape {
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "a"): bytes.append(0x07)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "v"): bytes.append(0x0B)
        case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): bytes.append(escape)
        case 0x0A: break
        case UInt8(ascii: "x"): try hexadecimal(2, source, &position, into: &bytes, start)
        case UInt8(ascii: "u"): try hexadecimal(4, source, &position, into: &bytes, start)
        case UInt8(ascii: "U"): try hexadecimal(8, source, &position, into: &bytes, start)
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            var value = UInt32(escape - UInt8(ascii: "0"))
            for _ in 0..<2 {
                guard position < source.count, (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(source[position])
                else { break }
                value = value * 8 + UInt32(source[position] - UInt8(ascii: "0"))
                position += 1
            }
            bytes += UTF8.encode(Unicode.Scalar(value) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter
        case UInt8(ascii: "N"): throw .syntax("escapes by a character's name, '\\N{…}', are not supported", at: start)
        default: bytes += [UInt8(ascii: "\\"), escape]
        }
    }

    private static func hexadecimal(
        _ count: Int, _ source: [UInt8], _ position: inout Int, into bytes: inout [UInt8], _ start: Int
    ) throws(Failure) {
        let digits = String(decoding: source[position...].prefix(count), as: UTF8.self)
        guard digits.utf8.count == count, digits.allSatisfy(\.isHexDigit), let value = UInt32(digits, radix: 16),
            let scalar = Unicode.Scalar(value)
        else { throw .syntax("the escape isn't a character in \(count) hexadecimal digits", at: start) }
        position += count
        bytes += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
    }
}
