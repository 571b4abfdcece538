/// A record of a TFRecord file: its length, the masked CRC-32C of the length, its bytes, and their masked CRC-32C.
///
/// All numbers are little-endian (tensorflow/core/lib/io/record_writer.h).
enum TFRecord {
    static func framed(_ bytes: [UInt8]) -> [UInt8] {
        let length = UInt64(bytes.count).littleEndianBytes
        return length + CRC32C.masked(length).littleEndianBytes + bytes + CRC32C.masked(bytes).littleEndianBytes
    }
}

/// CRC-32 with Castagnoli's polynomial (RFC 3720, B.4).
enum CRC32C {
    /// What each byte does to the remainder.
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { remainder, _ in
            remainder & 1 == 1 ? remainder >> 1 ^ 0x82F6_3B78 : remainder >> 1
        }
    }

    static func of(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
    }

    /// Rotated and with a constant added, so that the CRC of bytes that hold CRCs isn't trivial.
    static func masked(_ bytes: [UInt8]) -> UInt32 {
        let crc = of(bytes)
        return (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    }
}

extension FixedWidthInteger {
    /// The number's bytes, the lowest first.
    var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
