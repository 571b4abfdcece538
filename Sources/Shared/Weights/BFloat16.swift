/// The upper half of a float32: its sign, its exponent and seven bits of its fraction.
public enum BFloat16 {
    /// The nearest value, ties to even; a NaN stays one.
    @inline(__always) public static func bits(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
    }

    @inline(__always) public static func float(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

    /// Widens `count` little-endian values.
    public static func widen(_ source: UnsafeRawPointer, into target: UnsafeMutablePointer<Float>, count: Int) {
        for i in 0..<count { target[i] = float(source.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)) }
    }

    /// Rounds `count` values.
    public static func round(_ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<UInt16>, count: Int) {
        for i in 0..<count { target[i] = bits(source[i]) }
    }

    /// Rounds `count` floats in place, into the first half of their memory.
    public static func roundInPlace(_ memory: UnsafeMutableRawPointer, count: Int) {
        for i in 0..<count {
            let value = memory.loadUnaligned(fromByteOffset: 4 * i, as: Float.self)
            memory.storeBytes(of: bits(value), toByteOffset: 2 * i, as: UInt16.self)
        }
    }
}
