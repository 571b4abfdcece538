/// Counting and searching; offsets are of bytes, indices of code points. None of it counts the work that it is.
extension Text {
    var isASCII: Bool { utf8.withUnsafeBufferPointer { $0.allSatisfy { $0 < 0x80 } } }

    /// Code points.
    var count: Int { Self.count(utf8[...]) }

    /// The code points of bytes.
    private static func count(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.withUnsafeBufferPointer { $0.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) } }
    }

    /// The code points, one after the other.
    var scalars: Scalars { Scalars(bytes: utf8) }

    /// Python's order: by code points, which is that of the bytes.
    static func < (a: Text, b: Text) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

    /// The bytes of a range of code points.
    func bytes(_ range: Range<Int>) -> ArraySlice<UInt8> {
        if isASCII { return utf8[range] }
        let start = offset(of: range.lowerBound)
        return utf8[start..<offset(of: range.upperBound, from: start, at: range.lowerBound)]
    }

    /// The byte at which a code point begins.
    ///
    /// - Parameters:
    ///   - start: A byte at which one begins, from which it is looked for.
    ///   - first: The index of that one.
    func offset(of index: Int, from start: Int = 0, at first: Int = 0) -> Int {
        var (seen, position) = (first - 1, start)
        while position < utf8.count {
            if utf8[position] & 0xC0 != 0x80 {
                seen += 1
                if seen == index { return position }
            }
            position += 1
        }
        return utf8.count
    }

    /// The number of code points before a byte.
    func index(ofByte offset: Int) -> Int { Self.count(utf8[..<offset]) }

    // MARK: - Search

    /// The first byte at which `pattern` is found, from `start` on and before `end`.
    func find(_ pattern: Text, from start: Int = 0, to end: Int? = nil) -> Int? {
        let end = end ?? utf8.count
        let (count, last) = (pattern.utf8.count, end - pattern.utf8.count)
        guard start <= last else { return nil }
        guard count > 0 else { return start }
        return utf8.withUnsafeBufferPointer { text in
            pattern.utf8.withUnsafeBufferPointer { pattern in
                Self.find(pattern, in: UnsafeBufferPointer(rebasing: text[start..<end])).map { $0 + start }
            }
        }
    }

    /// By the algorithm of Knuth, Morris and Pratt, whose time is linear whatever the two are.
    ///
    /// - Parameter pattern: Not empty.
    private static func find(_ pattern: UnsafeBufferPointer<UInt8>, in text: UnsafeBufferPointer<UInt8>) -> Int? {
        guard pattern.count > 1 else { return text.firstIndex(of: pattern[0]) }
        return withUnsafeTemporaryAllocation(of: Int.self, capacity: pattern.count) { borders in
            // Of each beginning of the pattern, the length of the longest that it also ends with.
            borders[0] = 0
            var matched = 0
            for i in 1..<pattern.count {
                while matched > 0, pattern[i] != pattern[matched] { matched = borders[matched - 1] }
                if pattern[i] == pattern[matched] { matched += 1 }
                borders[i] = matched
            }
            matched = 0
            var position = 0
            while position < text.count {
                let byte = text[position]
                position += 1
                while matched > 0, byte != pattern[matched] { matched = borders[matched - 1] }
                if byte == pattern[matched] {
                    matched += 1
                    if matched == pattern.count { return position - matched }
                }
            }
            return nil
        }
    }

    func hasPrefix(_ prefix: Text) -> Bool { utf8.starts(with: prefix.utf8) }
    func hasSuffix(_ suffix: Text) -> Bool { utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) }

    // MARK: - Space

    /// The range of bytes without what `isStripped` holds for at the ends.
    func stripped(
        start: Bool = true, end: Bool = true, _ isStripped: (Unicode.Scalar) -> Bool = isSpace
    ) -> Range<Int> {
        var (low, high) = (0, utf8.count)
        while start, low < high {
            let (scalar, width) = scalarAt(low)
            guard isStripped(scalar) else { break }
            low += width
        }
        while end, high > low {
            var begin = high - 1
            while begin > low, utf8[begin] & 0xC0 == 0x80 { begin -= 1 }
            guard isStripped(scalarAt(begin).0) else { break }
            high = begin
        }
        return low..<high
    }

    /// The text without space at its ends.
    var strippedString: String { String(decoding: utf8[stripped()], as: UTF8.self) }

    /// The code point that begins at a byte, and its width.
    func scalarAt(_ offset: Int) -> (Unicode.Scalar, Int) { Self.scalar(in: utf8, at: offset) }

    static func scalar(in bytes: [UInt8], at offset: Int) -> (Unicode.Scalar, Int) {
        let byte = bytes[offset]
        if byte < 0x80 { return (Unicode.Scalar(byte), 1) }
        var decoder = UTF8()
        var bytes = bytes[offset...].prefix(4).makeIterator()
        guard case .scalarValue(let scalar) = decoder.decode(&bytes) else { return ("\u{FFFD}", 1) }
        return (scalar, UTF8.width(scalar))
    }

    /// The code points of UTF-8, decoded as they are read.
    struct Scalars: Sequence, IteratorProtocol {
        let bytes: [UInt8]
        private(set) var offset = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func next() -> Unicode.Scalar? {
            guard offset < bytes.count else { return nil }
            let (scalar, width) = Text.scalar(in: bytes, at: offset)
            offset += width
            return scalar
        }
    }
}

/// What Python's `str.isspace` holds for, and so `strip` and `split` take for space.
func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0D, 0x1C...0x20: true
    case 0..<0x80: false
    default: scalar.properties.isWhitespace
    }
}
