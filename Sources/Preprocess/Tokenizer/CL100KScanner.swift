/// The pattern of cl100k_base, which Llama-3, Qwen, Phi-4 and GLM share but for how many digits make a word.
///
///     (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
///     \s*[\r\n]+|\s+(?!\S)|\s+
///
/// Qwen3.5 counts marks among the letters. llama.cpp has contractions in ASCII's letters alone.
struct CL100KScanner: WordScanner {
    let maximumDigits: Int
    let word: ScalarClass
    private let contractions: ContractionCase

    /// The scanner of `pattern`, if it is one of these.
    init?(pattern: String) {
        let anyCase = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
        let ascii = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
        let isASCII = pattern.hasPrefix(ascii)
        contractions = isASCII ? .ascii : .any
        func written(digits: String, letters: String, others: String) -> String {
            (isASCII ? ascii : anyCase) + #"|[^\r\n\p{L}\p{N}]?"# + letters + "+|" + digits + "| ?" + others
                + #"+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        }
        let letters = written(digits: #"\p{N}"#, letters: #"\p{L}"#, others: #"[^\s\p{L}\p{N}]"#)
        let letters3 = written(digits: #"\p{N}{1,3}"#, letters: #"\p{L}"#, others: #"[^\s\p{L}\p{N}]"#)
        let marks = written(digits: #"\p{N}"#, letters: #"[\p{L}\p{M}]"#, others: #"[^\s\p{L}\p{M}\p{N}]"#)
        switch pattern {
        case letters: (maximumDigits, word) = (1, .letter)
        case letters3: (maximumDigits, word) = (3, .letter)
        case marks: (maximumDigits, word) = (1, [.letter, .mark])
        default: return nil
        }
    }

    @inline(__always)
    func endOfWord(at start: Int, in text: ScannedText, upTo end: Int) -> Int {
        if let word = text.endOfASCIIWord(at: start, upTo: end) { return word }
        let (first, length) = text.scalar(at: start)
        let next = start &+ length
        if first.contains(anyOf: word) { return text.endOfRun(word, from: next, upTo: end) }
        if first.contains(.number) { return text.endOfDigits(after: next, most: maximumDigits, upTo: end) }
        if text.bytes[start] == UInt8(ascii: "'"),
            let contraction = text.endOfContraction(at: start, upTo: end, contractions)
        {
            return contraction
        }
        if next < end {
            let (second, secondLength) = text.scalar(at: next)
            if second.contains(anyOf: word), !first.contains(.lineEnd) {
                return text.endOfRun(word, from: next &+ secondLength, upTo: end)
            }
            if text.bytes[start] == UInt8(ascii: " "), !second.contains(anyOf: word.union([.number, .space])) {
                return endOfOthers(from: next &+ secondLength, in: text, upTo: end)
            }
        }
        guard first.contains(.space) else { return endOfOthers(from: next, in: text, upTo: end) }
        return text.endOfSpaces(at: start, upTo: end, atLineEnd: true) { _ in false }
    }

    @inline(__always)
    private func endOfOthers(from start: Int, in text: ScannedText, upTo end: Int) -> Int {
        let others = text.endOfRun(ofOtherThan: word.union([.number, .space]), from: start, upTo: end)
        return text.endOfRun(.lineEnd, from: others, upTo: end)
    }
}
