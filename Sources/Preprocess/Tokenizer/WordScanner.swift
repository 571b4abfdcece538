/// Finds words as a well-known pattern does, without an engine for patterns.
///
/// Every pattern that has a scanner matches every character, so that words follow each other without gaps.
protocol WordScanner {
    /// The end of the word that begins at `start` of `text`, whose end is `end`.
    func endOfWord(at start: Int, in text: ScannedText, upTo end: Int) -> Int
}

/// Which letters a contraction may have: small ones, those of ASCII, or also U+017F, an s when case is ignored.
enum ContractionCase {
    case small, ascii, any
}

/// UTF-8 and the classes of its scalars: what scanners read.
struct ScannedText {
    let bytes: UnsafePointer<UInt8>
    private let classes = ScalarClasses.shared

    init(_ bytes: UnsafePointer<UInt8>) { self.bytes = bytes }

    /// The class and the length of the scalar at `i`.
    @inline(__always)
    func scalar(at i: Int) -> (class: ScalarClass, length: Int) {
        let byte = bytes[i]
        if byte < 0x80 { return (classes[ascii: byte], 1) }
        let (value, length) = UTF8Scalars.decode(byte, at: bytes + i)
        return (classes[value], length)
    }

    /// The end of a word of ASCII letters, with or without a space before it: nearly all words of English text.
    ///
    /// - Returns: nil where it isn't that simple: another script may follow the letters.
    @inline(__always)
    func endOfASCIIWord(at start: Int, upTo end: Int) -> Int? {
        let letters = bytes[start] == UInt8(ascii: " ") ? start &+ 1 : start
        let word = endOfASCIILetters(from: letters)
        guard word > letters else { return nil }
        if word >= end { return letters < end ? end : nil }
        return bytes[word] < 0x80 ? word : nil
    }

    /// The end of the ASCII letters from `start` on; it may be after the end of the text.
    @inline(__always)
    func endOfASCIILetters(from start: Int) -> Int { endOfASCII(from: start) { $0.letters } }

    @inline(__always)
    func endOfASCIICapitals(from start: Int) -> Int { endOfASCII(from: start) { $0.capitals } }

    @inline(__always)
    func endOfASCIISmallLetters(from start: Int) -> Int { endOfASCII(from: start) { $0.smallLetters } }

    @inline(__always)
    private func endOfASCII(from start: Int, _ wanted: (EightBytes) -> UInt64) -> Int {
        var i = start
        while true {
            let others = wanted(EightBytes(bytes + i)) ^ EightBytes.high
            if others != 0 { return i &+ others.trailingZeroBitCount &>> 3 }
            i &+= 8
        }
    }

    /// The end of the scalars of `wanted` classes that begin at `start`.
    @inline(__always)
    func endOfRun(_ wanted: ScalarClass, from start: Int, upTo end: Int) -> Int {
        var i = start
        while i < end {
            let (found, length) = scalar(at: i)
            guard found.contains(anyOf: wanted) else { break }
            i &+= length
        }
        return min(i, end)
    }

    /// The end of a run of at most `most` numbers whose first one ends at `next`: `\p{N}{1,most}`.
    @inline(__always)
    func endOfDigits(after next: Int, most: Int, upTo end: Int) -> Int {
        var i = next
        for _ in 1..<most {
            guard i < end else { break }
            let (found, length) = scalar(at: i)
            guard found.contains(.number) else { break }
            i &+= length
        }
        return min(i, end)
    }

    /// The end of the scalars of other than `unwanted` classes that begin at `start`.
    @inline(__always)
    func endOfRun(ofOtherThan unwanted: ScalarClass, from start: Int, upTo end: Int) -> Int {
        var i = start
        while i < end {
            let (found, length) = scalar(at: i)
            guard !found.contains(anyOf: unwanted) else { break }
            i &+= length
        }
        return min(i, end)
    }

    /// The end of the spaces at `start`, of which the last is left to the next word: `\s+(?!\S)|\s+`.
    ///
    /// Where `atLineEnd`, a run with line ends goes up to and including its last one: `\s*[\r\n]+|…`.
    /// `isEnd` says whether a position ends the text as the pattern sees it.
    @inline(__always)
    func endOfSpaces(at start: Int, upTo end: Int, atLineEnd: Bool, isEnd: (Int) -> Bool) -> Int {
        var i = start
        var lastStart = start
        var lineEnd = -1
        while i < end {
            let (found, length) = scalar(at: i)
            guard found.contains(.space) else { break }
            lastStart = i
            i &+= length
            if found.contains(.lineEnd) { lineEnd = i }
        }
        if atLineEnd, lineEnd >= 0 { return lineEnd }
        return i >= end || lastStart == start || isEnd(i) ? min(i, end) : lastStart
    }

    /// The end of a contraction ('s 't 're 've 'm 'll 'd) whose apostrophe is at `i`, or nil.
    @inline(__always)
    func endOfContraction(at i: Int, upTo end: Int, _ casing: ContractionCase) -> Int? {
        guard i &+ 1 < end else { return nil }
        let fold: UInt8 = casing == .small ? 0 : 0x20
        let second = i &+ 2 < end ? bytes[i &+ 2] : 0
        switch bytes[i &+ 1] | fold {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return i &+ 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"): return second | fold == UInt8(ascii: "e") ? i &+ 3 : nil
        case UInt8(ascii: "l"): return second | fold == UInt8(ascii: "l") ? i &+ 3 : nil
        case 0xC5 | fold where bytes[i &+ 1] == 0xC5 && second == 0xBF: return casing == .any ? i &+ 3 : nil
        default: return nil
        }
    }
}
