/// Rewrites a pattern of Hugging Face's engine (Oniguruma, Ruby syntax) so that PCRE2 matches the same text.
///
/// The two differ in what `\s`, `\w` and script names mean, in the version of Unicode, in repetitions, in where case is
/// ignored, and in rare constructs. What has no certain equal is refused: a tokenizer that splits almost as it should is
/// worse than none.
struct OnigurumaSyntax {
    /// Scalars that PCRE2's version of Unicode doesn't know, as ranges of a class, by general category.
    let newerScalars: (String) -> String

    /// - Throws: `PatternError` that names the construct.
    func translate(_ pattern: String) throws(PatternError) -> String {
        var translation = Translation(pattern, newerScalars: newerScalars)
        return try translation.run()
    }

    fileprivate static let space =
        #"\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}"#
        + #"\x{205f}\x{3000}"#

    /// What `\w` has besides letters, marks, digits and connectors: ², ³, ¹, ¼, ½, ¾, and letters in circles and squares.
    fileprivate static let wordScalars =
        #"\x{b2}-\x{b3}\x{b9}-\x{b9}\x{bc}-\x{be}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}"#
        + #"\x{1f170}-\x{1f189}"#

    /// The scripts that are known by their scalars in Unicode 16.0, with those since 14.0 as ranges of a class.
    static let scripts: [String: String] = [
        "Han": #"\x{2b739}-\x{2b739}\x{2ebf0}-\x{2ee5d}\x{31350}-\x{323af}"#,
        "Hiragana": #"\x{1b132}-\x{1b132}"#, "Katakana": #"\x{1b155}-\x{1b155}"#, "Hangul": "", "Bopomofo": "",
        "Latin": #"\x{a7cb}-\x{a7cd}\x{a7da}-\x{a7dc}\x{1df25}-\x{1df2a}"#, "Greek": "",
        "Cyrillic": #"\x{1c89}-\x{1c8a}\x{1e030}-\x{1e06d}\x{1e08f}-\x{1e08f}"#, "Armenian": "", "Georgian": "",
        "Arabic": #"\x{897}-\x{897}\x{10ec2}-\x{10ec4}\x{10efc}-\x{10eff}"#, "Hebrew": "", "Ethiopic": "",
        "Devanagari": #"\x{11b00}-\x{11b09}"#, "Bengali": "", "Tamil": "", "Telugu": "",
        "Kannada": #"\x{cf3}-\x{cf3}"#, "Malayalam": "", "Gujarati": "", "Gurmukhi": "", "Sinhala": "", "Thai": "",
        "Lao": #"\x{ece}-\x{ece}"#, "Khmer": "", "Myanmar": #"\x{116d0}-\x{116e3}"#, "Tibetan": "", "Mongolian": "",
    ]
}

/// A pattern on its way from one syntax to the other, scalar by scalar.
private struct Translation {
    private var rest: ArraySlice<Unicode.Scalar>
    private var result = ""
    private let newerScalars: (String) -> String
    /// What a repetition would repeat.
    private var last = Item.nothing
    private var groups: [Group] = []
    /// Whether case is ignored in the whole pattern.
    private var ignoresCase = false
    /// The ASCII letter before, where case is ignored.
    private var letterBefore: Unicode.Scalar?

    private enum Item {
        case nothing, assertion, atom
        /// `*`, `+` or `?`, which `?` makes lazy and `+` possessive.
        case repetition
        /// `{2,3}`, which `?` makes lazy.
        case range
        /// A repetition that nothing may follow.
        case complete
    }

    private struct Group {
        let isAssertion: Bool
        let ignoresCase: Bool
    }

    /// Pairs of letters that are one character too when case is ignored: ß, ﬀ, ﬁ, ﬂ, ﬆ.
    private static let joined = ["ss", "ff", "fi", "fl", "st"]

    init(_ pattern: String, newerScalars: @escaping (String) -> String) {
        rest = Array(pattern.unicodeScalars)[...]
        self.newerScalars = newerScalars
    }

    private var isCaseIgnored: Bool { groups.last?.ignoresCase ?? ignoresCase }

    mutating func run() throws(PatternError) -> String {
        if rest.starts(with: "(?i)".unicodeScalars) {
            rest = rest.dropFirst(4)
            result = "(?i)"
            ignoresCase = true
        }
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\\": try atom(try escape(isInClass: false))
            case "[":
                result += try characterClass()
                last = .atom
            case "(": try open()
            case ")":
                guard let group = groups.popLast() else { throw PatternError("has a ')' without its '('") }
                result += ")"
                last = group.isAssertion ? .assertion : .atom
                letterBefore = nil
            case "|":
                result += "|"
                last = .nothing
                letterBefore = nil
            case "^", "$":
                result.unicodeScalars.append(scalar)
                last = .assertion
            case ".": try atom(".")
            case "*", "+", "?": try repeatLast(scalar)
            case "{": try brace()
            case "}", "]": try atom("\\\(scalar)")
            default: try literal(scalar)
            }
        }
        guard groups.isEmpty else { throw PatternError("has a '(' without its ')'") }
        return result
    }

    private mutating func atom(_ text: String) throws(PatternError) {
        guard !isCaseIgnored || text.unicodeScalars.allSatisfy(\.isASCII) && !text.hasPrefix("[") else {
            throw PatternError("has '\(text)' where case is ignored")
        }
        result += text
        last = text == "\\A" || text == "\\z" ? .assertion : .atom
        letterBefore = nil
    }

    private mutating func literal(_ scalar: Unicode.Scalar) throws(PatternError) {
        let before = letterBefore
        try atom(String(scalar))
        guard isCaseIgnored, scalar.properties.isAlphabetic else { return }
        letterBefore = scalar
        if let before, Self.joined.contains("\(before)\(scalar)".lowercased()) {
            throw PatternError("has '\(before)\(scalar)' where case is ignored, which may be one character")
        }
    }

    private mutating func open() throws(PatternError) {
        guard rest.first == "?" else {
            result += "("
            return push(Group(isAssertion: false, ignoresCase: isCaseIgnored))
        }
        let openings = [
            ("?:", false), ("?=", true), ("?!", true), ("?>", false), ("?<=", true), ("?<!", true), ("?i:", false),
        ]
        for (opening, isAssertion) in openings where rest.starts(with: opening.unicodeScalars) {
            rest = rest.dropFirst(opening.unicodeScalars.count)
            result += "(" + opening
            return push(Group(isAssertion: isAssertion, ignoresCase: isCaseIgnored || opening == "?i:"))
        }
        // Oniguruma's `(?i)` reaches over the alternatives that follow, PCRE2's doesn't.
        throw PatternError("has a group '(\(Self.text(rest.prefix(3)))'")
    }

    private mutating func push(_ group: Group) {
        groups.append(group)
        last = .nothing
        letterBefore = nil
    }

    // MARK: - Repetitions

    private mutating func repeatLast(_ sign: Unicode.Scalar) throws(PatternError) {
        switch last {
        case .atom where isCaseIgnored: throw PatternError("has a repetition where case is ignored")
        case .atom: last = .repetition
        case .repetition where sign != "*": last = .complete
        case .range where sign == "?": last = .complete
        case .nothing, .assertion: throw PatternError("repeats nothing by '\(sign)'")
        default: throw PatternError("has a repeated repetition")
        }
        result.unicodeScalars.append(sign)
    }

    /// `{2}`, `{2,}`, `{2,3}` and `{,3}`; anything else is a brace by itself.
    ///
    /// PCRE2 takes `{,3}` for text before version 10.43, and spaces in braces for nothing since. `a{2}?` is an optional
    /// `aa` for Oniguruma and a lazy repetition for PCRE2.
    private mutating func brace() throws(PatternError) {
        let inner = rest.prefix { $0 != "}" }
        let parts = inner.split(separator: ",", omittingEmptySubsequences: false)
        let isNumeric = parts.joined().allSatisfy { ("0"..."9").contains($0) }
        guard inner.count < rest.count, (1...2).contains(parts.count), isNumeric, inner.contains(where: { $0 != "," })
        else { return try atom("\\{") }
        switch last {
        case .nothing, .assertion: throw PatternError("repeats nothing by '{\(Self.text(inner))}'")
        case .atom where !isCaseIgnored: break
        case .atom: throw PatternError("has a repetition where case is ignored")
        default: throw PatternError("has a repeated repetition")
        }
        rest = rest.dropFirst(inner.count + 1)
        result += "{\(parts[0].isEmpty ? "0" : "")\(Self.text(inner))}"
        last = parts.count == 2 ? .range : .complete
    }

    // MARK: - Classes

    /// The class that begins here, up to its bracket.
    private mutating func characterClass() throws(PatternError) -> String {
        var text = "["
        if rest.first == "^" { text.unicodeScalars.append(rest.removeFirst()) }
        if rest.first == "]" { throw PatternError("has an empty class") }
        // Of a hyphen beside a set of scalars it isn't certain what it means.
        var (isFirst, wasSet, wasHyphen) = (true, false, false)
        while let scalar = rest.popFirst() {
            defer { isFirst = false }
            switch scalar {
            case "]":
                letterBefore = nil
                return text + "]"
            case "[": throw PatternError("has a class within a class")
            case "&" where rest.first == "&": throw PatternError("has an intersection of classes")
            case "\\":
                let escaped = try escape(isInClass: true)
                let isSet = escaped.hasPrefix("\\p") || escaped == OnigurumaSyntax.space
                if isSet && wasHyphen { throw PatternError("has a range that ends in a set") }
                guard !isCaseIgnored || !isSet else { throw PatternError("has a set where case is ignored") }
                text += escaped
                (wasSet, wasHyphen) = (isSet, false)
            case "-":
                guard isFirst || rest.first == "]" || !wasSet && rest.first != "-" else {
                    throw PatternError("has a hyphen after a set or a hyphen")
                }
                text += "-"
                (wasSet, wasHyphen) = (false, !isFirst)
            default:
                guard !isCaseIgnored || scalar.isASCII else {
                    throw PatternError("has '\(scalar)' where case is ignored")
                }
                text.unicodeScalars.append(scalar)
                (wasSet, wasHyphen) = (false, false)
            }
        }
        throw PatternError("has a class that doesn't end")
    }

    // MARK: - Escapes

    private mutating func escape(isInClass: Bool) throws(PatternError) -> String {
        guard let letter = rest.popFirst() else { throw PatternError("ends in a backslash") }
        switch letter {
        case "s": return isInClass ? OnigurumaSyntax.space : "[\(OnigurumaSyntax.space)]"
        case "S" where !isInClass: return "[^\(OnigurumaSyntax.space)]"
        case "d": return category("Nd", isInClass: isInClass)
        case "D" where !isInClass: return "[^\\p{Nd}\(newerScalars("Nd"))]"
        case "w":
            let members =
                ["L", "M", "Nd", "Nl", "Pc"].map { "\\p{\($0)}\(newerScalars($0))" }.joined()
                + OnigurumaSyntax.wordScalars
            return isInClass ? members : "[\(members)]"
        case "p", "P": return try property(letter, isInClass: isInClass)
        case "r", "n", "t", "f", "e", "a": return "\\\(letter)"
        case "v": return "\\x{b}"
        case "A", "z":
            guard !isInClass else { throw PatternError("has an escape '\\\(letter)' within a class") }
            return "\\\(letter)"
        case "x", "u": return try number(letter)
        default:
            guard letter.isASCII, !letter.properties.isAlphabetic, !("0"..."9").contains(letter), letter.value > 0x20
            else { throw PatternError("has an escape '\\\(letter)'") }
            return "\\\(letter)"
        }
    }

    /// A scalar by its number: `\x41`, `\x{1f600}` or `\u4e00`.
    private mutating func number(_ letter: Unicode.Scalar) throws(PatternError) -> String {
        let hasBraces = letter == "x" && rest.first == "{"
        let digits =
            hasBraces ? rest.dropFirst().prefix { $0 != "}" } : rest.prefix(letter == "u" ? 4 : 2)
        let isHex = digits.allSatisfy { $0.properties.isASCIIHexDigit }
        let isWhole = hasBraces ? digits.endIndex < rest.endIndex : digits.count == (letter == "u" ? 4 : 2)
        guard isHex, isWhole, let value = UInt32(Self.text(digits), radix: 16), let scalar = Unicode.Scalar(value),
            // Two digits are a byte, which isn't a character by itself beyond ASCII.
            hasBraces || letter == "u" || value < 0x80
        else { throw PatternError("has an escape '\\\(letter)\(Self.text(rest.prefix(6)))'") }
        rest = rest.dropFirst(digits.count + (hasBraces ? 2 : 0))
        guard !isCaseIgnored || scalar.isASCII && !scalar.properties.isAlphabetic else {
            throw PatternError("has '\(scalar)' where case is ignored")
        }
        return "\\x{\(String(value, radix: 16))}"
    }

    private mutating func property(_ letter: Unicode.Scalar, isInClass: Bool) throws(PatternError) -> String {
        guard rest.first == "{", let close = rest.firstIndex(of: "}") else {
            throw PatternError("has a property without braces")
        }
        var name = Self.text(rest[rest.index(after: rest.startIndex)..<close])
        rest = rest[rest.index(after: close)...]
        let isNegated = (letter == "P") != name.hasPrefix("^")
        if name.hasPrefix("^") { name.removeFirst() }
        let members = try self.members(name)
        if isNegated {
            guard !isInClass else { throw PatternError("has a negated property within a class") }
            return "[^\(members)]"
        }
        return isInClass ? members : "[\(members)]"
    }

    /// One or two letters are a general category; others are a script here, by itself and not by its extensions.
    private func members(_ name: String) throws(PatternError) -> String {
        if name.unicodeScalars.count <= 2, name.unicodeScalars.allSatisfy({ $0.isASCII && $0.properties.isAlphabetic })
        {
            return "\\p{\(name)}\(newerScalars(name))"
        }
        guard let newer = OnigurumaSyntax.scripts[name] else { throw PatternError("has a property '\(name)'") }
        return "\\p{sc:\(name)}\(newer)"
    }

    private func category(_ name: String, isInClass: Bool) -> String {
        let members = "\\p{\(name)}\(newerScalars(name))"
        return isInClass ? members : "[\(members)]"
    }

    private static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }
}

/// Why a pattern can't be used; the sentence goes on from the pattern's name.
struct PatternError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
