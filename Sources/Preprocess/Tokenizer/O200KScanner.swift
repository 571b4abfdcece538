/// The pattern of o200k_base, as gpt-oss, Llama-4, MiniMax and (without contractions) Mistral-Nemo have it.
///
///     [^\r\n\p{L}\p{N}]?[U]*[l]+(?i:'s|…)?|[^\r\n\p{L}\p{N}]?[U]+[l]*(?i:'s|…)?|\p{N}{1,3}|
///     ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
///
/// with U = \p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M} and l = \p{Ll}\p{Lm}\p{Lo}\p{M}: a capital begins a new word.
struct O200KScanner: WordScanner {
    let maximumDigits: Int
    let hasContractions: Bool

    private static let capital: ScalarClass = [.upper, .caseless, .mark]
    private static let small: ScalarClass = [.lower, .caseless, .mark]

    /// The scanner of `pattern`, if it is one of these.
    init?(pattern: String) {
        func written(contraction: String, digits: String) -> String {
            let before = #"[^\r\n\p{L}\p{N}]?"#
            let capital = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
            let small = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#
            return "\(before)\(capital)*\(small)+\(contraction)|\(before)\(capital)+\(small)*\(contraction)|\(digits)"
                + #"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        }
        switch pattern {
        case written(contraction: "(?i:'s|'t|'re|'ve|'m|'ll|'d)?", digits: #"\p{N}{1,3}"#):
            (maximumDigits, hasContractions) = (3, true)
        case written(contraction: "", digits: #"\p{N}"#): (maximumDigits, hasContractions) = (1, false)
        default: return nil
        }
    }

    @inline(__always)
    func endOfWord(at start: Int, in text: ScannedText, upTo end: Int) -> Int {
        if let word = endOfASCIIWord(at: start, in: text, upTo: end) { return word }
        let (first, length) = text.scalar(at: start)
        let next = start &+ length
        if first.contains(.number) { return text.endOfDigits(after: next, most: maximumDigits, upTo: end) }
        if let letters = endOfLetters(at: start, first, next, in: text, upTo: end) {
            guard hasContractions, letters < end, text.bytes[letters] == UInt8(ascii: "'") else { return letters }
            return text.endOfContraction(at: letters, upTo: end, .any) ?? letters
        }
        if text.bytes[start] == UInt8(ascii: " "), next < end {
            let (second, secondLength) = text.scalar(at: next)
            if !second.contains(anyOf: [.letter, .number, .space]) {
                return endOfOthers(from: next &+ secondLength, in: text, upTo: end)
            }
        }
        guard first.contains(.space) else { return endOfOthers(from: next, in: text, upTo: end) }
        return text.endOfSpaces(at: start, upTo: end, atLineEnd: true) { _ in false }
    }

    /// The end of a word of ASCII capitals and small letters, with or without a space before it.
    ///
    /// - Returns: nil where it isn't that simple: another script or a contraction may follow.
    @inline(__always)
    private func endOfASCIIWord(at start: Int, in text: ScannedText, upTo end: Int) -> Int? {
        let letters = text.bytes[start] == UInt8(ascii: " ") ? start &+ 1 : start
        let word = text.endOfASCIISmallLetters(from: text.endOfASCIICapitals(from: letters))
        guard word > letters else { return nil }
        if word >= end { return letters < end ? end : nil }
        return text.bytes[word] < 0x80 && text.bytes[word] != UInt8(ascii: "'") ? word : nil
    }

    /// The end of the pattern's first or second alternative, which may take one character before its letters.
    @inline(__always)
    private func endOfLetters(
        at start: Int, _ first: ScalarClass, _ next: Int, in text: ScannedText, upTo end: Int
    ) -> Int? {
        let isBefore = !first.contains(anyOf: [.letter, .lineEnd])
        if isBefore, let found = endOfCapitalized(at: next, in: text, upTo: end) { return found }
        let isLetter = first.contains(anyOf: [.letter, .mark])
        if isLetter, let found = endOfCapitalized(at: start, in: text, upTo: end) { return found }
        if isBefore, let found = endOfCapitals(at: next, in: text, upTo: end) { return found }
        return isLetter ? endOfCapitals(at: start, in: text, upTo: end) : nil
    }

    /// `[U]*[l]+`: capitals up to small letters, or up to the last capital that is of both kinds.
    @inline(__always)
    private func endOfCapitalized(at start: Int, in text: ScannedText, upTo end: Int) -> Int? {
        var i = start
        var lastOfBoth: Int?
        while i < end {
            let (found, length) = text.scalar(at: i)
            guard found.contains(anyOf: Self.capital) else {
                if found.contains(.lower) { return text.endOfRun(Self.small, from: i &+ length, upTo: end) }
                break
            }
            i &+= length
            if found.contains(anyOf: Self.small) { lastOfBoth = i }
        }
        return lastOfBoth.map { min($0, end) }
    }

    /// `[U]+[l]*`, where no small letter can follow.
    @inline(__always)
    private func endOfCapitals(at start: Int, in text: ScannedText, upTo end: Int) -> Int? {
        let i = text.endOfRun(Self.capital, from: start, upTo: end)
        return i > start ? i : nil
    }

    @inline(__always)
    private func endOfOthers(from start: Int, in text: ScannedText, upTo end: Int) -> Int {
        var i = text.endOfRun(ofOtherThan: [.letter, .number, .space], from: start, upTo: end)
        while i < end {
            let byte = text.bytes[i]
            guard byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "/") else { break }
            i &+= 1
        }
        return i
    }
}
