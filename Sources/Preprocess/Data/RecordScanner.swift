@preconcurrency import Glibc

/// Finds where records begin and end in a dataset's file, piece by piece, without parsing them.
///
/// A file whose first byte (after spaces) is `[` is one JSON array, each of whose elements is a record. Any other has a
/// record on each line. A broken record must not cost those behind it: on lines it can't; in an array, a line break
/// within a string or a bracket that doesn't fit shows that the record is broken, and the next record begins where a
/// line begins as the lines of the other records do: with the same indentation and a brace. Where elements don't begin
/// lines, text outside of strings shows it too, and the next record begins as the others do: see `ElementBeginning`.
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
        /// Something that should be here is missing.
        case missing(String)
        /// The file ends with it; on lines, it may be whole but for the line's end.
        case unfinished
    }

    private enum State { case start, lines, betweenElements, element, afterArray, trailing }

    private var state = State.start
    /// The line that was reached, from 1.
    private(set) var line = 1
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
    /// Where elements don't begin lines, how they begin.
    private var beginning = ElementBeginning()
    /// Up to where the next beginning was looked for in a broken element.
    private var soughtUpTo = 0

    /// Scans `bytes` from `position` on, up to the end of the first record that ends there.
    /// - Returns: The record, if one ends; `position` is then behind it, else at the end.
    mutating func next(in bytes: UnsafeRawBufferPointer, from position: inout Int) -> Found? {
        while position < bytes.count {
            switch state {
            case .start: start(bytes, &position)
            case .lines: if let found = endOfLine(bytes, &position) { return found }
            case .betweenElements: between(bytes, &position)
            case .element:
                let before = position
                if let found = element(bytes, &position) { return found }
                // It needs more bytes to decide.
                if position == before { return nil }
            case .afterArray: afterArray(bytes, &position)
            case .trailing: position = bytes.count
            }
        }
        return nil
    }

    /// Where the record begins that hasn't ended yet; what is before isn't needed any more.
    var pendingStart: Int? { recordStart?.position }

    /// Whether the file is one of lines, and what was scanned ends where a line may begin.
    var isBetweenLines: Bool { state == .lines && recordStart == nil }

    /// Tells that the first `count` bytes of what is scanned were taken away.
    mutating func rebase(by count: Int) {
        if let start = recordStart { recordStart = (max(0, start.position - count), start.line) }
        soughtUpTo = max(0, soughtUpTo - count)
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
        soughtUpTo = position + 1
        state = .element
        indentation = nil
    }

    private var elementsBeginLines: Bool { elementIndentation != nil }

    /// Ends a broken element where the next one begins, looked for from its own beginning on: when it shows that an
    /// element is broken, others may have been taken for its strings.
    private mutating func seekNext(
        _ bytes: UnsafeRawBufferPointer, _ position: inout Int, _ message: String
    ) -> Found? {
        let start = recordStart ?? (position, line)
        guard let next = beginning.find(in: bytes, from: soughtUpTo) else {
            soughtUpTo = max(soughtUpTo, bytes.count - beginning.count)
            position = bytes.count
            return nil
        }
        let end = end(at: next, problem: .broken(message))
        line = start.line + bytes[start.position..<next].reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
        begin(at: next)
        position = next
        return end
    }

    private mutating func element(_ bytes: UnsafeRawBufferPointer, _ position: inout Int) -> Found? {
        while position < bytes.count {
            if let problem, !elementsBeginLines, beginning.isProven { return seekNext(bytes, &position, problem) }
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
            case UInt8(ascii: "{") where !elementsBeginLines && depth > 0 && beginning.isProven:
                switch beginning.isBehindComma(in: bytes, at: position) {
                case true?: problem = problem ?? "a bracket isn't closed"
                case false?: open(isBrace: true)
                case nil: return nil
                }
                if problem != nil { continue }
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
                    if !elementsBeginLines, let start = recordStart {
                        beginning.learn(from: UnsafeRawBufferPointer(rebasing: bytes[start.position..<position]))
                    }
                    return end(at: position)
                }
            case UInt8(ascii: ",") where depth == 0 && problem == nil: return end(at: position)
            default:
                if !elementsBeginLines, problem == nil, !Self.isStructural(byte) {
                    problem = "text is outside of strings"
                    continue
                }
            }
            position += 1
        }
        return nil
    }

    /// Whether a byte may stand outside of strings: punctuation, numbers, true, false and null.
    private static func isStructural(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "E"), 0x0D:
            true
        default: "truefalsn".utf8.contains(byte)
        }
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
