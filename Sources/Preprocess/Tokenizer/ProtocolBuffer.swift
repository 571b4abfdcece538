/// The fields of a message in the wire format of protocol buffers, one after the other.
///
/// https://protobuf.dev/programming-guides/encoding. Untrusted bytes: whatever they are, a field lies within the message
/// or an error is thrown.
struct ProtocolBuffer {
    /// What a field holds, by its wire type.
    enum Value {
        /// An integer, an enumeration's case or a boolean.
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        /// A string, bytes or a message.
        case bytes(ArraySlice<UInt8>)
    }

    private var rest: ArraySlice<UInt8>

    init(_ message: ArraySlice<UInt8>) { rest = message }

    /// The next field's number and value; nil at the end of the message.
    /// - Throws: `ProtocolBufferError` where no field can be read.
    mutating func next() throws(ProtocolBufferError) -> (number: Int, value: Value)? {
        guard !rest.isEmpty else { return nil }
        let tag = try varint()
        guard let number = Int(exactly: tag >> 3), (1..<1 << 29).contains(number) else {
            throw ProtocolBufferError("a field has the number \(tag >> 3)")
        }
        switch tag & 7 {
        case 0: return (number, .varint(try varint()))
        case 1: return (number, .fixed64(try integer(8)))
        case 2:
            let count = try varint()
            guard count <= UInt64(rest.count) else {
                throw ProtocolBufferError("field \(number) has \(count) bytes of the \(rest.count) that are left")
            }
            return (number, .bytes(take(Int(count))))
        case 5: return (number, .fixed32(UInt32(truncatingIfNeeded: try integer(4))))
        default: throw ProtocolBufferError("field \(number) is of the wire type \(tag & 7)")
        }
    }

    /// Seven bits a byte, the lowest first.
    private mutating func varint() throws(ProtocolBufferError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 64, by: 7) {
            guard let byte = rest.popFirst() else { break }
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        throw ProtocolBufferError("an integer doesn't end")
    }

    private mutating func integer(_ count: Int) throws(ProtocolBufferError) -> UInt64 {
        guard count <= rest.count else { throw ProtocolBufferError("a number of \(count) bytes doesn't end") }
        return take(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8> {
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }
}

/// Why bytes are no message.
struct ProtocolBufferError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
