/// Numbers of a row in groups that share a scale: (code − zero) · scale.
///
/// What FP8, AWQ, GPTQ and compressed-tensors directories hold, in a layout of our own: of each group its scale and its
/// zero in float32, and then the codes. Codes of four bits are 32 in 16 bytes, low halves first.
public struct CodeGroups: Hashable, Sendable {
    public enum Code: Sendable {
        case fourBits
        case eightBits
        /// Four bits of exponent and three of fraction (e4m3fn).
        case float8

        var bits: Int { self == .fourBits ? 4 : 8 }
        /// Codes that are unpacked together.
        var unit: Int { self == .fourBits ? 32 : 16 }
    }

    public let code: Code
    /// Numbers of a group: a multiple of the code's unit.
    public let size: Int

    var byteCount: Int { Self.headBytes + size * code.bits / 8 }

    static let headBytes = 8

    /// Writes a group.
    func pack(scale: Float, zero: Float, codes: UnsafePointer<UInt8>, into group: UnsafeMutableRawPointer) {
        group.storeBytes(of: scale, as: Float.self)
        group.storeBytes(of: zero, toByteOffset: 4, as: Float.self)
        let bytes = group + Self.headBytes
        guard code == .fourBits else { return bytes.copyMemory(from: codes, byteCount: size) }
        for i in 0..<size / 2 {
            let first = i / 16 * 32 + i % 16
            bytes.storeBytes(of: codes[first] | codes[first + 16] << 4, toByteOffset: i, as: UInt8.self)
        }
    }

    @inline(__always) func unpack(_ groups: UnsafeRawPointer, count: Int, into sink: inout some NumberSink) {
        for index in 0..<count {
            let group = PackedBlock(start: groups + index * byteCount)
            let (scale, zero) = (Float(bitPattern: group.word(0)), Float(bitPattern: group.word(4)))
            switch code {
            case .fourBits:
                for offset in stride(from: Self.headBytes, to: byteCount, by: 16) {
                    let pairs = group.bytes(offset)
                    sink.put(scale * ((pairs & 15).floats - zero))
                    sink.put(scale * ((pairs &>> 4).floats - zero))
                }
            case .eightBits:
                for offset in stride(from: Self.headBytes, to: byteCount, by: 16) {
                    sink.put(scale * (group.bytes(offset).floats - zero))
                }
            case .float8:
                for offset in stride(from: Self.headBytes, to: byteCount, by: 16) {
                    sink.put(scale * Self.float8(group.bytes(offset)))
                }
            }
        }
    }

    /// The numbers of e4m3fn: 7 is the exponent's bias, and of the two codes of seven ones each is no number.
    @inline(__always) private static func float8(_ bytes: SIMD16<UInt8>) -> SIMD16<Float> {
        let codes = unsafeBitCast((bytes & 0x7F).integers, to: SIMD16<UInt32>.self)
        let sign = (unsafeBitCast(bytes.integers, to: SIMD16<UInt32>.self) & 0x80) &<< 24
        let small = (bytes & 0x7F).floats * 0x1p-9
        var bits = codes &<< 20 &+ 120 &<< 23
        bits.replace(with: unsafeBitCast(small, to: SIMD16<UInt32>.self), where: codes .< 8)
        bits.replace(with: SIMD16(repeating: Float.nan.bitPattern), where: codes .== 0x7F)
        return unsafeBitCast(bits | sign, to: SIMD16<Float>.self)
    }

    /// One number of e4m3fn.
    static func float8(_ code: UInt8) -> Float {
        let (exponent, fraction) = (UInt32(code >> 3 & 15), UInt32(code & 7))
        let size: Float =
            if code & 0x7F == 0x7F {
                .nan
            } else if exponent == 0 {
                Float(fraction) * 0x1p-9
            } else {
                Float(bitPattern: (exponent + 120) << 23 | fraction << 20)
            }
        return code < 0x80 ? size : -size
    }
}
