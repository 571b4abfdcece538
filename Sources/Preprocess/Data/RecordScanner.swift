@preconcurrency import Glibc

/// Finds where records begin and end in a dataset's file, piece by piece, without parsing them.
///
/// A file whose first byte (after spaces) is `[` is one JSON array, each of whose elements is a record. Any other has a
/// record on each line. A broken record must not cost those behind it: on lines it can't; in an array, a line break
/// within a string or a bracket that doesn't fit shows that the record is broken, and the next record begins where a
/// line begins as the lines of the other records do: with the same indentation and a brace.
struct RecordScanner {
    /// A record's place: bytes from the beginning of what is scanned.
    struct Found: Equatable {
        var range: Range<Int>
        /// Of the file, from 1.
        var line: Int
        /// Why it can't be parsed, if that is known already.
        var problem: Problem?
    }

    enum Problem: Equatable {
        case broken(String)
        /// The file ends with it; on lines, it may be whole but for the line's end.
        case unfinished
    }

    private enum State { case start, lines, betweenElements, element, afterArray, trailing }

    private var state = State.start
    private var line = 1
    /// Where the current record begins, and on which line.
    private var recordStart: (position: Int, line: Int)?
    private var isInString = false
    private var isEscaped = false
    /// Open brackets of the current element: a bit each, 1 for a brace.
    private var brackets: UInt64 = 0
    private var depth = 0
    private var problem: String?

    /// Spaces since the line's beginning, nil behind anything else.
    private var indentation: Int? = 0
    /// How far the lines on which elements begin are indented; nil where elements don't begin lines.
    private var elementIndentation: Int?
    /// Whether a line within a good element looked like the beginning of another, so that looks say nothing.
    private var looksDeceive = false
    private var sawBeginningWithin = false
    private var hasWholeElement = false

    /// Scans `bytes` from `position` on, up to the end of the first record that ends there.
    /// - Returns: The record, if one ends; `position` is then behind it, else at the end.
    mutating func next(in bytes: UnsafeRawBufferPointer, from position: inout Int) -> Found? {
        while position < bytes.count {
            switch state {
            case .start: start(bytes, &position)
            case .lines: if let found = endOfLine(bytes, &position) { return found }
            case .betweenElements: between(bytes, &position)
            case .element: if let found = element(bytes, &position) { return found }
            case .afterArray: afterArray(bytes, &position)
            case .trailing: position = bytes.count
            }
        }
        return nil
    }

    /// Where the record begins that hasn't ended yet; what is before isn't needed any more.
    var pendingStart: Int? { recordStart?.position }

    /// Tells that the first `count` bytes of what is scanned were taken away.
    mutating func rebase(by count: Int) {
        if let start = recordStart { recordStart = (max(0, start.position - count), start.line) }
    }

    /// The record that the file's end at `end` ends, if there is one.
    mutating func finish(at end: Int) -> Found? {
        guard let start = recordStart else { return nil }
        recordStart = nil
        let known = state == .trailing ? "text follows the array's end" : state == .element ? problem : nil
        let problem = known.map(Problem.broken) ?? .unfinished
        return Found(range: start.position..<end, line: start.line, problem: problem)
    }

    // MARK: - Lines

    private mutating func start(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) {
        let byte = bytes[position]
        switch byte {
        // Also the bytes of a byte-order mark.
        case 0x20, 0x09, 0x0D, 0xEF, 0xBB, 0xBF: position += 1
        case 0x0A:
            position += 1
            line += 1
        case UInt8(ascii: "["):
            state = .betweenElements
            indentation = nil
            position += 1
        default: state = .lines
        }
    }

    private mutating func endOfLine(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> Found? {
        if recordStart == nil {
            while position < bytes.count, Self.isSpace(bytes[position]) {
                line += bytes[position] == 0x0A ? 1 : 0
                position += 1
            }
            guard position < bytes.count else { return nil }
            recordStart = (position, line)
        }
        guard let start = recordStart else { return nil }
        guard let end = Self.newline(in: bytes, from: position) else {
            position = bytes.count
            return nil
        }
        position = end + 1
        line += 1
        recordStart = nil
        return Found(range: start.position..<end, line: start.line)
    }

    // MARK: - An array

    private mutating func between(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) {
        let byte = bytes[position]
        switch byte {
        case 0x0A:
            line += 1
            indentation = 0
            position += 1
        case 0x20, 0x09:
            indentation = indentation.map { $0 + 1 }
            position += 1
        case 0x0D: position += 1
        case UInt8(ascii: ","):
            indentation = nil
            position += 1
        case UInt8(ascii: "]"):
            state = .afterArray
            position += 1
        default: begin(at: position)
        }
    }

    private mutating func begin(at position: Int) {
        recordStart = (position, line)
        if !hasWholeElement { elementIndentation = indentation }
        (isInString, isEscaped, brackets, depth, problem) = (false, false, 0, 0, nil)
        sawBeginningWithin = false
        state = .element
        indentation = nil
    }

    private mutating func element(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> Found? {
        while position < bytes.count {
            let byte = bytes[position]
            if byte == 0x0A {
                line += 1
                if isInString {
                    problem = problem ?? "a line ends within a string"
                    (isInString, isEscaped) = (false, false)
                }
                indentation = 0
                position += 1
                continue
            }
            if isInString {
                string(bytes, &position)
                continue
            }
            if byte == 0x20 || byte == 0x09 {
                if let spaces = indentation { indentation = spaces + 1 }
                position += 1
                continue
            }
            if byte == UInt8(ascii: "{"), indentation != nil, isBeginning(at: position) {
                let message = problem ?? "a bracket isn't closed"
                let end = end(at: position, problem: .broken(message))
                begin(at: position)
                return end
            }
            indentation = nil
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"): open(isBrace: true)
            case UInt8(ascii: "["): open(isBrace: false)
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                // The array's own end, behind an element that isn't an object or an array.
                if depth == 0, byte == UInt8(ascii: "]"), problem == nil { return end(at: position) }
                close(isBrace: byte == UInt8(ascii: "}"))
                if depth == 0, problem == nil {
                    position += 1
                    hasWholeElement = true
                    looksDeceive = looksDeceive || sawBeginningWithin
                    return end(at: position)
                }
            case UInt8(ascii: ",") where depth == 0 && problem == nil: return end(at: position)
            default: break
            }
            position += 1
        }
        return nil
    }

    /// Goes to the end of the string or the line, or of what is there.
    private mutating func string(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) {
        var at = position
        if isEscaped {
            isEscaped = false
            at += bytes[at] == 0x0A ? 0 : 1
        }
        while at < bytes.count {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                isInString = false
                at += 1
                break
            }
            if byte == 0x0A { break }
            at += 1
            if byte == UInt8(ascii: "\\") {
                guard at < bytes.count else {
                    isEscaped = true
                    break
                }
                at += bytes[at] == 0x0A ? 0 : 1
            }
        }
        position = at
    }

    /// Whether a brace that begins a line begins another element, though the current one hasn't ended.
    private mutating func isBeginning(at position: Int) -> Bool {
        guard indentation == elementIndentation, recordStart?.position != position, !looksDeceive else { return false }
        if hasWholeElement || problem != nil { return true }
        sawBeginningWithin = true
        return false
    }

    private mutating func open(isBrace: Bool) {
        guard depth < 64 else {
            problem = problem ?? "brackets are nested deeper than 64"
            return
        }
        brackets = brackets << 1 | (isBrace ? 1 : 0)
        depth += 1
    }

    private mutating func close(isBrace: Bool) {
        guard depth > 0, (brackets & 1 == 1) == isBrace else {
            problem = problem ?? "a bracket doesn't fit"
            return
        }
        brackets >>= 1
        depth -= 1
    }

    private mutating func end(at position: Int, problem: Problem? = nil) -> Found {
        let start = recordStart ?? (position, line)
        recordStart = nil
        state = .betweenElements
        return Found(range: start.position..<position, line: start.line, problem: problem)
    }

    private mutating func afterArray(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) {
        if Self.isSpace(bytes[position]) {
            line += bytes[position] == 0x0A ? 1 : 0
            position += 1
        } else {
            recordStart = (position, line)
            state = .trailing
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private static func newline(in bytes: UnsafeRawBufferPointer, from position: Int) -> Int? {
        guard let base = bytes.baseAddress, let found = memchr(base + position, 0x0A, bytes.count - position) else {
            return nil
        }
        return found - UnsafeMutableRawPointer(mutating: base)
    }
}
