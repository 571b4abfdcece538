/// A protocol buffer message being written, field by field.
///
/// As in `message.string("loss", field: 1)`; see protobuf.dev/programming-guides/encoding.
struct ProtobufMessage {
    private(set) var bytes: [UInt8] = []

    private enum WireType: UInt64 { case varint = 0, eightBytes = 1, lengthDelimited = 2, fourBytes = 5 }

    /// int64 and enumerations; a negative one takes ten bytes.
    mutating func int(_ value: Int, field: UInt64) {
        tag(field, .varint)
        varint(UInt64(bitPattern: Int64(value)))
    }

    mutating func double(_ value: Double, field: UInt64) {
        tag(field, .eightBytes)
        bytes += value.bitPattern.littleEndianBytes
    }

    mutating func float(_ value: Float, field: UInt64) {
        tag(field, .fourBytes)
        bytes += value.bitPattern.littleEndianBytes
    }

    mutating func string(_ value: String, field: UInt64) { lengthDelimited(Array(value.utf8), field) }

    mutating func message(field: UInt64, _ build: (inout ProtobufMessage) -> Void) {
        var inner = ProtobufMessage()
        build(&inner)
        lengthDelimited(inner.bytes, field)
    }

    private mutating func lengthDelimited(_ value: [UInt8], _ field: UInt64) {
        tag(field, .lengthDelimited)
        varint(UInt64(value.count))
        bytes += value
    }

    private mutating func tag(_ field: UInt64, _ type: WireType) { varint(field << 3 | type.rawValue) }

    /// Seven bits a byte, low ones first, the top bit set on all but the last.
    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
