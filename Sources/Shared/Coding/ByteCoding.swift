/// Bytes being written in the encodings of store records.
package struct ByteWriter {
    package init() {}

    package private(set) var bytes: [UInt8] = []

    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// LEB128: seven bits a byte, low ones first, the top bit set on all but the last.
    package mutating func varint(_ value: Int) {
        precondition(value >= 0)
        var rest = UInt(value)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// The count as a varint, then the bytes.
    package mutating func string(_ text: some Collection<UInt8>) {
        varint(text.count)
        bytes += text
    }

    package mutating func append(_ other: [UInt8]) { bytes += other }
}

/// Bytes being read in those forms, which may hold anything.
package struct ByteReader {
    private let bytes: UnsafeRawBufferPointer
    package private(set) var position = 0

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    package var remaining: Int { bytes.count - position }

    package mutating func varint(_ what: StaticString) throws(DecodingFailure) -> Int {
        var value: UInt = 0
        var shift: UInt = 0
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            value |= UInt(byte & 0x7F) << shift
            if byte < 0x80 { return Int(value) }
            shift += 7
            guard shift <= 56 else { break }
        }
        throw DecodingFailure("\(what) can't be read")
    }

    /// A count of things that take at least `bytesEach` bytes each, so that it can't ask for more memory than there
    /// are bytes.
    package mutating func count(_ what: StaticString, bytesEach: Int = 1) throws(DecodingFailure) -> Int {
        let count = try varint(what)
        guard count <= remaining / bytesEach else { throw DecodingFailure("\(what) is \(count), more than follow") }
        return count
    }

    package mutating func string(_ what: StaticString) throws(DecodingFailure) -> [UInt8] {
        Array(bytes[try range(what)])
    }

    /// Where a string's bytes are.
    package mutating func range(_ what: StaticString) throws(DecodingFailure) -> Range<Int> {
        let count = try count(what)
        defer { position += count }
        return position..<position + count
    }

    package mutating func expect(_ expected: Int, _ what: StaticString) throws(DecodingFailure) {
        let value = try varint(what)
        guard value == expected else { throw DecodingFailure("\(what) is \(value), should be \(expected)") }
    }

    package func expectEnd() throws(DecodingFailure) {
        guard remaining == 0 else { throw DecodingFailure("\(remaining) bytes follow its end") }
    }
}

/// Why bytes aren't the record that they should be; whoever knows which record it is says so.
package struct DecodingFailure: Error, Equatable {
    package let message: String
    package init(_ message: String) { self.message = message }
}
