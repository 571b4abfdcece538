@preconcurrency import Glibc

/// Finds where a JSON value ends, piece by piece, by its strings and brackets.
///
/// It isn't parsed: words and numbers may be anything. What is noticed is what shows that brackets or quotation marks
/// are missing, so that the end that they give can't be trusted: a bracket of the wrong kind, a line end in a string, two
/// values without a comma or a colon between them, a value in an object without a key.
struct ValueScanner {
    enum Outcome: Equatable {
        /// All bytes were scanned, and the value goes on.
        case goesOn
        case complete
        case broken(String)
    }

    private enum Token { case opening, comma, colon, value }

    /// Line ends that were passed.
    private(set) var lineEnds = 0
    private var brackets = BracketStack()
    private var last = Token.opening
    private var isInString = false
    private var isEscaped = false
    private var isInWord = false

    /// Scans `bytes` from `position` up to `end`, or to the value's end if that comes first.
    ///
    /// The first byte of the value is a bracket or a quotation mark. After `complete`, `position` is after the value; after
    /// `broken`, at what shows it.
    mutating func scan(_ bytes: UnsafeRawBufferPointer, from position: inout Int, upTo end: Int) -> Outcome {
        while position < end {
            if isInString {
                guard string(bytes, &position, end) else { return .broken("a line ends within a string") }
                if isInString { return .goesOn }
                last = .value
                if brackets.depth == 0 { return .complete }
                continue
            }
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                guard last != .value else { return .broken("a comma is missing") }
                isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                if let problem = problemOfValue { return .broken(problem) }
                brackets.push(isBrace: byte == UInt8(ascii: "{"))
                last = .opening
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard brackets.depth > 0, brackets.isTopBrace == (byte == UInt8(ascii: "}")) else {
                    return .broken("a bracket doesn't fit")
                }
                brackets.pop()
                last = .value
                isInWord = false
                position += 1
                if brackets.depth == 0 { return .complete }
                continue
            case UInt8(ascii: ","): last = .comma
            case UInt8(ascii: ":"): last = .colon
            case 0x0A: lineEnds += 1
            case 0x20, 0x09, 0x0D: break
            default:
                // A word may stand for a key: the parser will say what is wrong with it.
                if !isInWord, last == .value { return .broken("a comma is missing") }
                isInWord = true
                last = .value
                position += 1
                continue
            }
            isInWord = false
            position += 1
        }
        return .goesOn
    }

    /// What an object or array that begins here lacks.
    private var problemOfValue: String? {
        if last == .value { return "a comma is missing" }
        return brackets.depth > 0 && brackets.isTopBrace && last != .colon ? "a key is missing" : nil
    }

    /// Goes to the end of the string, or of what is there; false where a line ends before.
    private mutating func string(_ bytes: UnsafeRawBufferPointer, _ position: inout Int, _ end: Int) -> Bool {
        if isEscaped {
            isEscaped = false
            if bytes[position] != 0x0A { position += 1 }
        }
        while position < end {
            let quote = bytes.position(of: UInt8(ascii: "\""), in: position..<end)
            if let lineEnd = bytes.position(of: 0x0A, in: position..<(quote ?? end)) {
                position = lineEnd
                return false
            }
            let stop = quote ?? end
            var slashes = 0
            while stop - slashes > position, bytes[stop - slashes - 1] == UInt8(ascii: "\\") { slashes += 1 }
            let isOdd = !slashes.isMultiple(of: 2)
            guard quote != nil else {
                isEscaped = isOdd
                position = end
                return true
            }
            position = stop + 1
            if !isOdd {
                isInString = false
                return true
            }
        }
        return true
    }
}

/// Open brackets: a bit each, however many there are.
private struct BracketStack {
    private(set) var depth = 0
    private var top: UInt64 = 0
    private var below: [UInt64] = []

    var isTopBrace: Bool { top & 1 == 1 }

    mutating func push(isBrace: Bool) {
        if depth > 0, depth.isMultiple(of: 64) {
            below.append(top)
            top = 0
        }
        top = top << 1 | (isBrace ? 1 : 0)
        depth += 1
    }

    mutating func pop() {
        depth -= 1
        top >>= 1
        if depth.isMultiple(of: 64), let word = below.popLast() { top = word }
    }
}

extension UnsafeRawBufferPointer {
    /// The first position of a byte within a range, in which all bytes are readable.
    func position(of byte: UInt8, in range: Range<Int>) -> Int? {
        guard let base = baseAddress, let found = memchr(base + range.lowerBound, Int32(byte), range.count) else {
            return nil
        }
        return UnsafeRawPointer(found) - base
    }
}
