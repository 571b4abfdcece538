/// A string of Python's: a sequence of code points, kept as UTF-8.
///
/// Two are equal if their code points are; Swift's strings compare by canonical equivalence instead.
public struct Text: Hashable, Sendable, ExpressibleByStringLiteral {
    public var utf8: [UInt8]

    public init(_ utf8: [UInt8]) { self.utf8 = utf8 }
    public init(_ string: String) { utf8 = Array(string.utf8) }
    public init(stringLiteral value: StaticString) { utf8 = value.withUTF8Buffer(Array.init) }
    init(_ slice: ArraySlice<UInt8>) { utf8 = Array(slice) }
    init(_ scalars: some Sequence<Unicode.Scalar>) {
        utf8 = []
        for scalar in scalars { utf8.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter) }
    }

    public var string: String { String(decoding: utf8, as: UTF8.self) }
    var scalars: [Unicode.Scalar] { Array(string.unicodeScalars) }
    var isEmpty: Bool { utf8.isEmpty }
    var isASCII: Bool { utf8.withUnsafeBufferPointer { $0.allSatisfy { $0 < 0x80 } } }

    /// Code points.
    var count: Int {
        utf8.withUnsafeBufferPointer { $0.reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) } }
    }

    static func + (a: Text, b: Text) -> Text {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(a.utf8.count + b.utf8.count)
        bytes += a.utf8
        bytes += b.utf8
        return Text(bytes)
    }

    /// Python's order: by code points, which is that of the bytes.
    static func < (a: Text, b: Text) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

    /// The code points of a range.
    func slice(_ range: Range<Int>) -> Text {
        if isASCII { return Text(utf8[range]) }
        return Text(utf8[offset(of: range.lowerBound)..<offset(of: range.upperBound)])
    }

    /// The byte at which a code point begins.
    func offset(of index: Int) -> Int {
        var (seen, position) = (-1, 0)
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
    func index(ofByte offset: Int) -> Int { utf8[..<offset].reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) } }

    // MARK: - Search

    /// The first byte at which `pattern` stands, from `start` on and before `end`.
    func find(_ pattern: Text, from start: Int = 0, to end: Int? = nil) -> Int? {
        let (count, last) = (pattern.utf8.count, (end ?? utf8.count) - pattern.utf8.count)
        guard start <= last else { return nil }
        guard let first = pattern.utf8.first else { return start }
        return utf8.withUnsafeBufferPointer { text in
            pattern.utf8.withUnsafeBufferPointer { pattern in
                var position = start
                while position <= last {
                    if text[position] == first {
                        var length = 1
                        while length < count, text[position + length] == pattern[length] { length += 1 }
                        if length == count { return position }
                    }
                    position += 1
                }
                return nil
            }
        }
    }

    /// The last byte at which `pattern` stands, before `end`.
    func findLast(_ pattern: Text, from start: Int = 0, to end: Int? = nil) -> Int? {
        var position = (end ?? utf8.count) - pattern.utf8.count
        while position >= start {
            if utf8[position...].starts(with: pattern.utf8) { return position }
            position -= 1
        }
        return nil
    }

    func hasPrefix(_ prefix: Text) -> Bool { utf8.starts(with: prefix.utf8) }
    func hasSuffix(_ suffix: Text) -> Bool { utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) }

    func replacing(_ old: Text, by new: Text, atMost limit: Int = -1) -> Text {
        if old.isEmpty { return replacingNothing(by: new, atMost: limit) }
        var (bytes, position, rest) = ([UInt8](), 0, limit)
        while rest != 0, let found = find(old, from: position) {
            bytes += utf8[position..<found]
            bytes += new.utf8
            position = found + old.utf8.count
            rest -= 1
        }
        return position == 0 ? self : Text(bytes + utf8[position...])
    }

    private func replacingNothing(by new: Text, atMost limit: Int) -> Text {
        var (bytes, rest) = ([UInt8](), limit)
        for scalar in scalars {
            if rest != 0 {
                bytes += new.utf8
                rest -= 1
            }
            bytes += Text([scalar]).utf8
        }
        return Text(rest != 0 ? bytes + new.utf8 : bytes)
    }

    // MARK: - Space

    /// The text without what `isStripped` holds for at its ends.
    func stripped(start: Bool = true, end: Bool = true, _ isStripped: (Unicode.Scalar) -> Bool = isSpace) -> Text {
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
        return low == 0 && high == utf8.count ? self : Text(utf8[low..<high])
    }

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
}

/// What Python's `str.isspace` holds for, and so `strip` and `split` take for space.
func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0D, 0x1C...0x20: true
    case 0..<0x80: false
    default: scalar.properties.isWhitespace
    }
}
