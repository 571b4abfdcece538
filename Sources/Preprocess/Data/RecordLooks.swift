/// How records look where they begin: what finds the next one after a broken one.
///
/// Looks are guesses, and nothing else than broken records is divided by them. Where the broken record begins a line,
/// another begins a line with the same indentation and the same bracket. Elsewhere any brace after a comma may begin one.
struct RecordLooks {
    private var indentation: Int?
    private var bracket: UInt8 = 0

    /// Takes the looks of a record.
    /// - Parameter indentation: The spaces before it, if it begins a line.
    mutating func take(firstByte: UInt8, indentation: Int?) { (bracket, self.indentation) = (firstByte, indentation) }

    var areOfLines: Bool { indentation != nil }

    /// The first position at or after `start` that looks like another record's beginning.
    ///
    /// - Parameter isTop: Whether records may follow each other without commas.
    func find(in text: UnsafeRawBufferPointer, from start: Int, isTop: Bool) -> Int? {
        if let indentation {
            let line = findLine(in: text, from: start, indentation)
            return (isTop ? findGlued(in: text, from: start, upTo: line ?? text.count) : nil) ?? line
        }
        var from = start
        while from < text.count, let found = text.position(of: UInt8(ascii: "{"), in: from..<text.count) {
            let before = text[..<found].last { !isJSONSpace($0) }
            if before == UInt8(ascii: ",") || (isTop && Self.closes(before)) { return found }
            from = found + 1
        }
        return nil
    }

    /// From where on `find` must look again, when more bytes follow a text that it found nothing in.
    func searched(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard indentation == nil else { return text[start...].lastIndex(of: 0x0A) ?? text.count }
        // What is before a brace must be seen, but for absurdly many spaces.
        return text[start...].lastIndex { !isJSONSpace($0) } ?? max(start, text.count - 4096)
    }

    /// Whether a position is a line's first after spaces.
    static func isAtLineStart(_ position: Int, _ text: UnsafeRawBufferPointer) -> Bool {
        let before = text[..<position].last { $0 != 0x20 && $0 != 0x09 }
        return before == nil || before == 0x0A
    }

    private static func closes(_ byte: UInt8?) -> Bool { byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") }

    /// An object after another's end, or what is left of it, on the same line.
    private func findGlued(in text: UnsafeRawBufferPointer, from start: Int, upTo end: Int) -> Int? {
        var from = start
        while from < end, let found = text.position(of: UInt8(ascii: "{"), in: from..<end) {
            if Self.closes(text[..<found].last { $0 != 0x20 && $0 != 0x09 }) { return found }
            from = found + 1
        }
        return nil
    }

    private func findLine(in text: UnsafeRawBufferPointer, from start: Int, _ indentation: Int) -> Int? {
        var from = start
        while from < text.count, let lineEnd = text.position(of: 0x0A, in: from..<text.count) {
            let first = lineEnd + 1 + indentation
            from = lineEnd + 1
            guard first < text.count else { continue }
            if text[first] == bracket, text[from..<first].allSatisfy({ $0 == 0x20 || $0 == 0x09 }) { return first }
        }
        return nil
    }
}

/// Spaces and line ends as JSON has them, and the form feeds and vertical tabs that some files have.
func isJSONSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
