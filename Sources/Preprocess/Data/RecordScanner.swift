/// Finds where records begin and end in a dataset's file, piece by piece, without parsing them.
///
/// Records are objects, or arrays of messages, one after another with or without line ends and commas between them, on one
/// line or many; or the elements of other arrays, of which a file may have several; or the elements of an array in an
/// object that wraps it (see `Envelope`). Brackets and quotation marks alone decide where a record ends. Only where they can't be right, as
/// `ValueScanner` notices, or the file ends or the largest record's size is reached within a record, looks decide where
/// the next one begins (see `RecordLooks`), from the broken one's beginning on: so a broken record loses nothing but
/// itself. What is between records and is neither an object nor an array is a record up to its line's end, for the parser
/// to refuse.
struct RecordScanner {
    private enum Level { case top, array, envelope, afterEnvelope }

    let largestRecord: Int
    /// How much of a record that is too large is kept: where it shows to be broken, the next one may have begun before.
    var tail: Int { min(largestRecord, 1 << 16) }
    private var level = Level.top
    var open: Open?
    var looks = RecordLooks()
    /// The line that was reached, from 1.
    private(set) var line = 1
    /// Where what is scanned begins in the file.
    private(set) var base = 0
    /// Spaces since the line's beginning, nil after anything else.
    private var indentation: Int? = 0
    /// Where an object begins that may be an envelope.
    private var undecided: Int?
    private var mayBeEnvelope = true
    private var isOfLines = true
    private var hasRecovered = false
    /// Bytes that were scanned more than once.
    var repeated = 0
    /// Of impatient records: where the next one seems to begin, and up to where none does.
    private var knownLook = -1
    private var soughtLooks = 0

    init(largestRecord: Int) { self.largestRecord = largestRecord }

    /// Scans from `position` on, up to the end of the first record that ends there.
    ///
    /// - Returns: The record, if one ends; `position` is then after it, else where more bytes are needed.
    mutating func next(in text: Text, from position: inout Int) -> Found? {
        while position < text.end || (open != nil && text.isAtEnd) {
            if open != nil {
                if let found = record(text, &position) { return found }
                if open != nil, position == text.end { return nil }
            } else {
                if let found = between(text, &position) { return found }
                if undecided != nil { return nil }
            }
        }
        return nil
    }

    /// From where on bytes are still needed; nil for none.
    var pendingStart: Int? {
        guard let open else { return undecided.map { $0 - base } }
        // A broken record that is too large already is known by its beginning alone.
        let isLong = open.recovery.map { $0.from - open.start > largestRecord } ?? false
        guard open.isTooLarge || isLong else { return open.start - base }
        return max(0, (open.recovery?.from ?? open.reached) - tail - base)
    }

    /// Whether the file has had nothing but objects, and what was scanned ends where a line may begin.
    var isBetweenLines: Bool { isOfLines && open == nil && undecided == nil && indentation != nil }

    /// Records that the first `count` bytes of what is scanned are removed.
    mutating func take(_ count: Int, of bytes: UnsafeRawBufferPointer) {
        if let open, open.start < base + count {
            let removed = bytes[max(0, open.start - base)..<count]
            self.open?.removedLineEnds += removed.count { $0 == 0x0A }
        }
        base += count
    }

    /// What is missing at the file's end.
    func missing(at end: Int) -> Found? {
        guard level != .top, !hasRecovered else { return nil }
        let problem = Problem.missing("the file ends within its array; what followed is missing")
        return Found(range: end..<end, offset: base + end, line: line, problem: problem)
    }

    // MARK: - Between records

    private mutating func between(_ text: Text, _ position: inout Int) -> Found? {
        let byte = text.bytes[position]
        switch byte {
        case 0x0A:
            line += 1
            indentation = 0
        case 0x20, 0x09: indentation = indentation.map { $0 + 1 }
        // The last is the record separator of RFC 7464.
        case 0x0B, 0x0C, 0x0D, 0x1E: break
        case _ where base + position < 3 && [0xEF, 0xBB, 0xBF][base + position] == byte: break
        case UInt8(ascii: ","): indentation = nil
        case UInt8(ascii: ":") where level == .afterEnvelope: indentation = nil
        case UInt8(ascii: "[") where level == .top:
            return array(text, &position)
        case UInt8(ascii: "]") where level == .array || level == .envelope:
            (level, indentation) = (level == .array ? .top : .afterEnvelope, nil)
        case UInt8(ascii: "}") where level == .afterEnvelope:
            (level, mayBeEnvelope, indentation) = (.top, true, nil)
        case UInt8(ascii: "]"), UInt8(ascii: "}"):
            position += 1
            return strayBracket(at: position - 1)
        case UInt8(ascii: "{") where level == .top && mayBeEnvelope:
            return firstObject(text, &position)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            begin(at: position, isText: false)
            return nil
        default:
            begin(at: position, isText: byte != UInt8(ascii: "\"") || level == .top)
            return nil
        }
        position += 1
        return nil
    }

    private mutating func strayBracket(at position: Int) -> Found? {
        indentation = nil
        // A broken record may have left it.
        guard !hasRecovered else { return nil }
        return Found(
            range: position..<position + 1, offset: base + position, line: line,
            problem: .broken("a bracket closes nothing"))
    }

    /// The file's first object: a record, or one that wraps an array of records.
    private mutating func firstObject(_ text: Text, _ position: inout Int) -> Found? {
        let object = UnsafeRawBufferPointer(rebasing: text.bytes[position...])
        undecided = nil
        switch Envelope.find(in: object, isAtEnd: text.isAtEnd) {
        case .unknown: undecided = base + position
        case .array(let first):
            line += object[..<first].count { $0 == 0x0A }
            position += first
            (level, isOfLines, indentation) = (.envelope, false, nil)
        case .none:
            mayBeEnvelope = false
            begin(at: position, isText: false)
        }
        return nil
    }

    /// An array at the top: of records, or of the messages of one.
    private mutating func array(_ text: Text, _ position: inout Int) -> Found? {
        let array = UnsafeRawBufferPointer(rebasing: text.bytes[position...])
        undecided = nil
        guard let isRecord = Envelope.isArrayOfMessages(array, isAtEnd: text.isAtEnd) else {
            undecided = base + position
            return nil
        }
        mayBeEnvelope = false
        if isRecord {
            begin(at: position, isText: false)
        } else {
            (level, isOfLines, indentation) = (.array, false, nil)
            position += 1
        }
        return nil
    }

    private mutating func begin(at position: Int, isText: Bool) {
        let start = base + position
        open = Open(
            start: start, line: line, indentation: indentation, value: isText ? nil : ValueScanner(), reached: start,
            isImpatient: isSpent(at: start))
        indentation = nil
    }

    // MARK: - A record

    private mutating func record(_ text: Text, _ position: inout Int) -> Found? {
        guard var record = open else { return nil }
        if record.recovery != nil { return recover(text, &position) }
        guard record.value != nil else { return word(text, &position) }
        let largest = record.start + largestRecord + 1
        var end = record.isTooLarge ? text.end : min(text.end, largest - base)
        let look = record.isImpatient ? nextLook(text, after: record.start) : nil
        if let look { end = min(end, look - base) }
        let outcome = record.value?.scan(text.bytes, from: &position, upTo: end) ?? .complete
        record.reached = base + position
        open = record
        switch outcome {
        case .complete: return complete(text, position)
        case .broken(let message): return fail(message, text, &position)
        case .goesOn: break
        }
        if let look, base + position == look { return fail("a bracket isn't closed", text, &position) }
        if !record.isTooLarge, base + position == largest, let found = reachLargest(text, &position) { return found }
        return text.isAtEnd && position == text.end ? endOfFile(text, &position) : nil
    }

    private mutating func complete(_ text: Text, _ position: Int) -> Found? {
        guard let record = open else { return nil }
        open = nil
        line = record.line + (record.value?.lineEnds ?? 0)
        let start = max(0, record.start - base)
        var found = Found(
            range: start..<position, offset: record.start, line: record.line,
            isTooLarge: record.isTooLarge || base + position - record.start > largestRecord)
        if level == .afterEnvelope {
            guard !found.isTooLarge, Envelope.isArrayOfObjects(text.bytes[found.range]) else { return nil }
            found.problem = .broken("the file's object has a second array of records; only its first one is read")
        }
        return found
    }

    /// Goes to the end of what is neither an object, an array nor a string: of its line, or in an array of the element.
    private mutating func word(_ text: Text, _ position: inout Int) -> Found? {
        guard let record = open else { return nil }
        let isInArray = level != .top
        let stop = text.bytes[position...].firstIndex { $0 == 0x0A || (isInArray && ",]}".utf8.contains($0)) }
        position = stop ?? text.end
        open?.reached = base + position
        if base + position - record.start > largestRecord { open?.isTooLarge = true }
        guard stop != nil || text.isAtEnd else { return nil }
        if stop == nil { hasRecovered = true }
        open = nil
        // What is beside an envelope's array is metadata of the file.
        if level == .afterEnvelope { return nil }
        let range = trimmed(text.bytes, max(0, record.start - base)..<position)
        return Found(
            range: range, offset: record.start, line: record.line,
            isTooLarge: record.isTooLarge || base + position - record.start > largestRecord,
            problem: stop == nil ? .unfinished : nil)
    }

    /// Without the spaces and commas at its end.
    private func trimmed(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> Range<Int> {
        let last = bytes[range].lastIndex { !isJSONSpace($0) && $0 != UInt8(ascii: ",") }
        return range.lowerBound..<(last ?? range.lowerBound) + (range.isEmpty ? 0 : 1)
    }

    /// Ends the record that has begun, which is broken, where the next one seems to begin or the file ends.
    mutating func end(at next: Int, _ text: Text, _ position: inout Int, _ problem: Problem) -> Found? {
        guard let record = open else { return nil }
        open = nil
        hasRecovered = true
        let start = max(0, record.start - base)
        line = record.line + record.removedLineEnds + text.bytes[start..<max(start, next)].count { $0 == 0x0A }
        indentation = looks.areOfLines ? record.indentation : nil
        position = next
        return Found(
            range: trimmed(text.bytes, start..<max(start, next)), offset: record.start, line: record.line,
            isTooLarge: base + next - record.start > largestRecord, problem: problem)
    }

    // MARK: - What recovery asks

    var isTop: Bool { level == .top }

    /// A file whose end decided on its records isn't one that others can be appended to.
    mutating func dependOnEnd() { isOfLines = false }

    /// Whether so much was scanned more than once that looks alone must do.
    ///
    /// So scanning is linear, whatever is in a file.
    func isSpent(at offset: Int) -> Bool { repeated > 4 * largestRecord && repeated > 2 * offset }

    /// Where the next record seems to begin, if that is to be seen yet; each byte is searched once.
    private mutating func nextLook(_ text: Text, after start: Int) -> Int? {
        if knownLook > start { return knownLook }
        let from = max(soughtLooks, start + 1, base) - base
        if let next = looks.find(in: text.bytes, from: from, isTop: isTop) {
            knownLook = base + next
            soughtLooks = knownLook
            return knownLook
        }
        soughtLooks = base + looks.searched(text.bytes, from: min(from, text.end))
        return nil
    }
}
