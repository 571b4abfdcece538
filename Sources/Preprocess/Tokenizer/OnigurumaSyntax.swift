/// Rewrites a pattern of Hugging Face's engine (Oniguruma, Ruby syntax) so that PCRE2 matches the same text.
///
/// The two differ in what `\s`, `\w` and script names mean, in the version of Unicode, and in rare constructs. What
/// has no certain equal is refused: a tokenizer that splits almost as it should is worse than none.
struct OnigurumaSyntax {
    /// Scalars that PCRE2's version of Unicode doesn't know, as ranges of a class, by general category.
    let newerScalars: (String) -> String

    private static let space =
        #"\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}"#
        + #"\x{205f}\x{3000}"#

    /// - Throws: `PatternError` that names the construct.
    func translate(_ pattern: String) throws(PatternError) -> String {
        var rest = Array(pattern)[...]
        var result = ""
        var isInClass = false
        while let character = rest.popFirst() {
            switch character {
            case "\\": result += try escape(&rest, isInClass: isInClass)
            case "[":
                guard !isInClass else { throw PatternError("has a class within a class") }
                isInClass = true
                result += "["
                if rest.first == "^" { result.append(rest.removeFirst()) }
                if rest.first == "]" { throw PatternError("has an empty class") }
            case "]" where isInClass:
                isInClass = false
                result += "]"
            case "&" where isInClass && rest.first == "&": throw PatternError("has an intersection of classes")
            case "(" where !isInClass && rest.first == "?": result += try group(&rest)
            case "}" where !isInClass && rest.first == "+": throw PatternError("has a repeated repetition")
            default: result.append(character)
            }
        }
        return result
    }

    private func group(_ rest: inout ArraySlice<Character>) throws(PatternError) -> String {
        for opening in ["?:", "?=", "?!", "?>", "?<=", "?<!", "?i:", "?i)"] where rest.starts(with: opening) {
            rest = rest.dropFirst(opening.count)
            return "(" + opening
        }
        throw PatternError("has a group '(\(String(rest.prefix(3)))'")
    }

    private func escape(_ rest: inout ArraySlice<Character>, isInClass: Bool) throws(PatternError) -> String {
        guard let letter = rest.popFirst() else { throw PatternError("ends in a backslash") }
        switch letter {
        case "s": return isInClass ? Self.space : "[\(Self.space)]"
        case "S" where !isInClass: return "[^\(Self.space)]"
        case "d": return property("Nd", isInClass: isInClass)
        case "D" where !isInClass: return "[^\\p{Nd}\(newerScalars("Nd"))]"
        case "w":
            let members = ["L", "M", "Nd", "Pc"].map { "\\p{\($0)}\(newerScalars($0))" }.joined()
            return isInClass ? members : "[\(members)]"
        case "p", "P": return try property(letter, &rest, isInClass: isInClass)
        case "r", "n", "t", "f", "e", "a": return "\\\(letter)"
        case "v": return "\\x{b}"
        case "A", "z": return "\\\(letter)"
        case "x", "u":
            var digits: [Character] = []
            if rest.first == "{" {
                digits = Array(rest.dropFirst().prefix { $0 != "}" })
                rest = rest.dropFirst(digits.count + 2)
            } else {
                digits = Array(rest.prefix(letter == "u" ? 4 : 2))
                rest = rest.dropFirst(digits.count)
            }
            guard let value = UInt32(String(digits), radix: 16), letter == "u" || value < 0x80 else {
                throw PatternError("has an escape '\\\(letter)\(String(digits))'")
            }
            return "\\x{\(String(value, radix: 16))}"
        default:
            guard let ascii = letter.asciiValue, !letter.isLetter, !letter.isNumber, ascii > 0x20 else {
                throw PatternError("has an escape '\\\(letter)'")
            }
            return "\\\(letter)"
        }
    }

    private func property(
        _ letter: Character, _ rest: inout ArraySlice<Character>, isInClass: Bool
    ) throws(PatternError) -> String {
        guard rest.first == "{", let close = rest.firstIndex(of: "}") else {
            throw PatternError("has a property without braces")
        }
        var name = String(rest[rest.index(after: rest.startIndex)..<close])
        rest = rest[rest.index(after: close)...]
        let isNegated = (letter == "P") != name.hasPrefix("^")
        if name.hasPrefix("^") { name.removeFirst() }
        // One or two letters are a general category; others are a script here, by itself and not by its extensions.
        let isCategory = name.count <= 2
        let members = isCategory ? "\\p{\(name)}\(newerScalars(name))" : "\\p{sc:\(name)}"
        if isNegated {
            guard !isInClass else { throw PatternError("has a negated property within a class") }
            return "[^\(members)]"
        }
        return isInClass ? members : "[\(members)]"
    }

    private func property(_ name: String, isInClass: Bool) -> String {
        let members = "\\p{\(name)}\(newerScalars(name))"
        return isInClass ? members : "[\(members)]"
    }
}

/// Why a pattern can't be used; the sentence goes on from the pattern's name.
struct PatternError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
