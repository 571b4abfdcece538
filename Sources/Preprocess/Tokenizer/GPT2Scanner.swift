/// GPT-2's pattern, alone or after a split at digits.
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
struct GPT2Scanner: WordScanner {
    static let pattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// How digits are split off first, so that the pattern never sees them.
    enum DigitSplit {
        case none, individual, contiguous
    }
    let digits: DigitSplit
    /// What such a split or the pattern takes for a digit.
    private let digit: ScalarClass

    init(digits: DigitSplit) {
        self.digits = digits
        digit = digits == .none ? .number : [.number, .newerNumber]
    }

    @inline(__always)
    func endOfWord(at start: Int, in text: ScannedText, upTo end: Int) -> Int {
        if let word = text.endOfASCIIWord(at: start, upTo: end) { return word }
        let (first, length) = text.scalar(at: start)
        let next = start &+ length
        if first.contains(anyOf: .letter) { return text.endOfRun(.letter, from: next, upTo: end) }
        if first.contains(anyOf: digit) {
            if digits == .individual { return min(next, end) }
            // The pattern divides a run of digits of which it doesn't know some yet.
            return text.endOfRun(first.intersection(digit), from: next, upTo: end)
        }
        if first.contains(.space) {
            if text.bytes[start] == UInt8(ascii: " "), next < end {
                let (second, secondLength) = text.scalar(at: next)
                if second.contains(anyOf: .letter) {
                    return text.endOfRun(.letter, from: next &+ secondLength, upTo: end)
                }
                if second.contains(anyOf: digit) {
                    return digits == .none ? text.endOfRun(.number, from: next &+ secondLength, upTo: end) : next
                }
                if !second.contains(.space) { return endOfOthers(from: next &+ secondLength, in: text, upTo: end) }
            }
            return text.endOfSpaces(at: start, upTo: end, atLineEnd: false) { i in
                digits != .none && text.scalar(at: i).class.contains(anyOf: digit)
            }
        }
        if text.bytes[start] == UInt8(ascii: "'"),
            let contraction = text.endOfContraction(at: start, upTo: end, .small)
        {
            return contraction
        }
        return endOfOthers(from: next, in: text, upTo: end)
    }

    @inline(__always)
    private func endOfOthers(from start: Int, in text: ScannedText, upTo end: Int) -> Int {
        text.endOfRun(ofOtherThan: digit.union([.letter, .space]), from: start, upTo: end)
    }
}
