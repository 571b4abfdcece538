import Glibc

/// Blocks of two and three bits, of three values, and of codes that stand for numbers of a table.
extension PackedBlock {
    /// Q2_K: sixteen parts of 16 numbers d s code − m t, with four bits each for a part's s and t.
    @inline(__always) func twoBits(into x: UnsafeMutablePointer<Float>) {
        let (d, m) = (half(80), half(82))
        for part in 0..<16 {
            let scales = byte(part)
            let (scale, shift) = (d * Float(scales & 15), m * Float(scales >> 4))
            for i in part * 16..<part * 16 + 16 { x[i] = scale * Float(pair(codes: 16, i)) - shift }
        }
    }

    /// Q3_K: sixteen parts of 16 numbers d (s − 32) (code − 4), two bits of a code in one place and one in another.
    @inline(__always) func threeBits(into x: UnsafeMutablePointer<Float>) {
        let d = half(108)
        for part in 0..<16 {
            let scale = d * Float(sixBitScale(96, part) - 32)
            for i in part * 16..<part * 16 + 16 {
                let high = byte(i % 32) >> (i / 32) & 1
                x[i] = scale * Float(pair(codes: 32, i) + 4 * high - 4)
            }
        }
    }

    /// The two bits of a number, of four that share a byte and are 32 apart.
    @inline(__always) private func pair(codes: Int, _ i: Int) -> Int {
        byte(codes + i / 128 * 32 + i % 32) >> (i % 128 / 32 * 2) & 3
    }

    /// One of sixteen scales of six bits: four of them as halves of eight bytes, and two in the four after those.
    private func sixBitScale(_ start: Int, _ part: Int) -> Int {
        let low = byte(start + part % 8) >> (part / 8 * 4) & 15
        return low | (byte(start + 8 + part % 4) >> (part / 4 * 2) & 3) << 4
    }

    /// TQ1_0: five numbers d (digit − 1) of three values a byte, as the digits of a fraction; the last sixteen are four a
    /// byte.
    @inline(__always) func ternary(into x: UnsafeMutablePointer<Float>) {
        let d = half(52)
        var next = 0
        for (start, bytes, digits) in [(0, 32, 5), (32, 16, 5), (48, 4, 4)] {
            var power: UInt8 = 1
            for _ in 0..<digits {
                for i in 0..<bytes {
                    let fraction = UInt8(truncatingIfNeeded: byte(start + i)) &* power
                    x[next] = d * Float((Int(fraction) * 3) >> 8 - 1)
                    next += 1
                }
                power &*= 3
            }
        }
    }

    /// TQ2_0: numbers d (code − 1) of two bits, as those of Q2_K.
    @inline(__always) func ternaryPairs(into x: UnsafeMutablePointer<Float>) {
        let d = half(64)
        for i in 0..<256 { x[i] = d * Float(pair(codes: 0, i) - 1) }
    }

    /// What the codes of IQ4_NL and IQ4_XS stand for.
    static let iq4: [Float] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

    /// What four bits of floating point stand for, twice: a sign, two bits of an exponent and one of a fraction.
    static let fp4: [Float] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

    /// `count` numbers of a table, the low halves of bytes and then the high ones.
    @inline(__always) func table(
        _ values: [Float], codes: Int, scale: Float, count: Int = 32, into x: UnsafeMutablePointer<Float>
    ) {
        for i in 0..<count / 2 {
            let code = byte(codes + i)
            x[i] = scale * values[code & 15]
            x[i + count / 2] = scale * values[code >> 4]
        }
    }

    /// IQ4_XS: eight parts of 32 numbers, whose scales d (s − 32) have four bits in one place and two in another.
    @inline(__always) func tableParts(into x: UnsafeMutablePointer<Float>) {
        let d = half(0)
        let high = byte(2) | byte(3) << 8
        for part in 0..<8 {
            let scale = byte(4 + part / 2) >> (part % 2 * 4) & 15 | (high >> (2 * part) & 3) << 4
            table(Self.iq4, codes: 8 + 16 * part, scale: d * Float(scale - 32), into: x + 32 * part)
        }
    }

    /// NVFP4: four parts of 16 numbers, each with a scale of four bits of exponent and three of fraction.
    @inline(__always) func tableQuarters(into x: UnsafeMutablePointer<Float>) {
        for part in 0..<4 {
            let code = byte(part)
            let (exponent, fraction) = (code >> 3 & 15, Float(code & 7))
            var scale = exponent == 0 ? fraction / 512 : ldexpf(1 + fraction / 8, Int32(exponent) - 7)
            if code == 0x7F { scale = 0 }
            table(Self.fp4, codes: 4 + 8 * part, scale: scale / 2, count: 16, into: x + 16 * part)
        }
    }

    /// MXFP4's scale, half of the power of two that a byte is the exponent of, plus 127.
    @inline(__always) func powerOfTwo(_ offset: Int) -> Float { ldexpf(1, Int32(byte(offset)) - 128) }
}
