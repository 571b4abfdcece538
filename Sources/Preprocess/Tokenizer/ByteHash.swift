/// Hashes that are the same in every run.
enum ByteHash {
    /// A hash of two words, by multiplying and folding the 128-bit product.
    @inline(__always)
    static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = (a ^ 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: b ^ 0xD6E8_FEB8_6659_FD93)
        return product.high ^ product.low
    }

    /// A hash of bytes.
    static func hash(_ bytes: UnsafePointer<UInt8>, count: Int) -> UInt64 {
        let raw = UnsafeRawPointer(bytes)
        var state = UInt64(truncatingIfNeeded: count)
        var i = 0
        while i + 8 <= count {
            state = fold(state, raw.loadUnaligned(fromByteOffset: i, as: UInt64.self))
            i += 8
        }
        var tail: UInt64 = 0
        while i < count {
            tail = tail << 8 | UInt64(bytes[i])
            i += 1
        }
        return fold(state, tail)
    }
}
