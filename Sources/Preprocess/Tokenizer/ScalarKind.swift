/// Kinds of scalars that pre-tokenizers, normalizers and added tokens ask for one by one.
///
/// Each knows the version of Unicode that Hugging Face's library for it knows (tokenizers 0.22).
enum ScalarKind: Sendable, Equatable {
    case whitespace
    /// The categories N of Unicode 17.0.
    case number
    /// ASCII's punctuation and the categories P of Unicode 8.0.
    case punctuation
    /// What `\w` is: alphabetic, marks, decimal digits, connectors and joiners of Unicode 16.0.
    case word
    /// The categories M of Unicode 9.0.
    case mark
    case scalar(Unicode.Scalar)

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        let properties = scalar.properties
        switch self {
        case .whitespace: return properties.isWhitespace
        case .number: return ScalarClasses.shared[scalar.value].contains(anyOf: [.number, .newerNumber])
        case .scalar(let wanted): return scalar == wanted
        case .punctuation:
            if scalar.isASCII { return Self.isASCIIPunctuation(scalar) }
            // U+166D and U+111C9 left the category later.
            if scalar == "\u{166D}" || scalar == "\u{111C9}" { return true }
            return Self.isPunctuation(properties.generalCategory) && Self.isAssigned(scalar, (8, 0))
        case .word:
            if scalar.isASCII { return properties.isAlphabetic || properties.numericType != nil || scalar == "_" }
            switch properties.generalCategory {
            case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: break
            default:
                guard properties.isAlphabetic || scalar == "\u{200C}" || scalar == "\u{200D}" else { return false }
            }
            return Self.isAssigned(scalar, ScalarClasses.unicodeVersion)
        case .mark:
            // U+1CF2 and U+1CF3 left the category later, U+111C9 came.
            if scalar == "\u{1CF2}" || scalar == "\u{1CF3}" { return true }
            switch properties.generalCategory {
            case .nonspacingMark, .spacingMark, .enclosingMark:
                return scalar != "\u{111C9}" && Self.isAssigned(scalar, UnicodeNormalization.unicodeVersion)
            default: return false
            }
        }
    }

    private static func isASCIIPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "!"..."/", ":"..."@", "["..."`", "{"..."~": true
        default: false
        }
    }

    private static func isPunctuation(_ category: Unicode.GeneralCategory) -> Bool {
        switch category {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            true
        default: false
        }
    }

    private static func isAssigned(_ scalar: Unicode.Scalar, _ version: (Int, Int)) -> Bool {
        guard let age = scalar.properties.age else { return false }
        return (age.major, age.minor) <= version
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// The scalar whose UTF-8 begins at `position`; nil at the end.
    func scalar(at position: Int) -> Unicode.Scalar? {
        guard position < count else { return nil }
        var iterator = self[position..<Swift.min(position + 4, count)].makeIterator()
        var decoder = UTF8()
        guard case .scalarValue(let scalar) = decoder.decode(&iterator) else { return nil }
        return scalar
    }

    /// The scalar whose UTF-8 ends before `position`; nil at the beginning.
    func scalar(before position: Int) -> Unicode.Scalar? {
        guard position > 0 else { return nil }
        var start = position - 1
        while start > 0, position - start < 4, self[start] & 0xC0 == 0x80 { start -= 1 }
        return scalar(at: start)
    }
}
