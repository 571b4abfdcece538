import CMachine
import Glibc

/// Blocks of two and three bits, of three values, and of codes that stand for numbers of a table.
extension PackedBlock {
    typealias EightParts = (
        SIMD16<UInt8>, SIMD16<UInt8>, SIMD16<UInt8>, SIMD16<UInt8>, SIMD16<UInt8>, SIMD16<UInt8>, SIMD16<UInt8>,
        SIMD16<UInt8>
    )

    /// Two bits each of 128 numbers, of 32 bytes: the lowest bits of all, then the next ones.
    @inline(__always) func twoBitCodes(_ offset: Int) -> EightParts {
        let (a, b) = (bytes(offset), bytes(offset + 16))
        return (a & 3, b & 3, a &>> 2 & 3, b &>> 2 & 3, a &>> 4 & 3, b &>> 4 & 3, a &>> 6, b &>> 6)
    }

    /// What `numbers` makes of eight parts, each by its index.
    @inline(__always) func eight(
        _ parts: EightParts, into sink: inout some NumberSink, _ numbers: (Int, SIMD16<UInt8>) -> SIMD16<Float>
    ) {
        sink.put(numbers(0, parts.0))
        sink.put(numbers(1, parts.1))
        sink.put(numbers(2, parts.2))
        sink.put(numbers(3, parts.3))
        sink.put(numbers(4, parts.4))
        sink.put(numbers(5, parts.5))
        sink.put(numbers(6, parts.6))
        sink.put(numbers(7, parts.7))
    }

    /// Q2_K: sixteen parts of 16 numbers d s code − m t, with four bits each for a part's s and t.
    @inline(__always) func twoBits(into sink: inout some NumberSink) {
        let both = bytes(0)
        let (scales, shifts) = (half(80) * (both & 15).floats, half(82) * (both &>> 4).floats)
        for group in 0..<2 {
            eight(twoBitCodes(16 + group * 32), into: &sink) { part, codes in
                scales[group * 8 + part] * codes.floats - shifts[group * 8 + part]
            }
        }
    }

    /// Q3_K: sixteen parts of 16 numbers d (s − 32) (code − 4), two bits of a code in one place and one in another.
    @inline(__always) func threeBits(into sink: inout some NumberSink) {
        let (d, high) = (half(108), (bytes(0), bytes(16)))
        for group in 0..<2 {
            let (even, odd) = (high.0 &>> UInt8(4 * group), high.1 &>> UInt8(4 * group))
            eight(twoBitCodes(32 + group * 32), into: &sink) { part, codes in
                let bit = (part % 2 == 0 ? even : odd) &>> UInt8(part / 2) & 1
                let scale = d * Float(sixBitScale(96, group * 8 + part) - 32)
                return scale * ((codes | bit &<< 2).floats - 4)
            }
        }
    }

    /// One of sixteen scales of six bits: four of them as halves of eight bytes, and two in the four after those.
    @inline(__always) private func sixBitScale(_ start: Int, _ part: Int) -> Int {
        let low = byte(start + part % 8) >> (part / 8 * 4) & 15
        return low | (byte(start + 8 + part % 4) >> (part / 4 * 2) & 3) << 4
    }

    /// TQ1_0: five numbers d (digit − 1) of three values a byte, as the digits of a fraction; the last sixteen are four a
    /// byte.
    @inline(__always) func ternary(into sink: inout some NumberSink) {
        let d = half(52)
        for (start, count) in [(0, 2), (32, 1)] {
            var power: UInt8 = 1
            for _ in 0..<5 {
                for index in 0..<count { sink.put(d * digits(bytes(start + 16 * index), power)) }
                power &*= 3
            }
        }
        let powers = SIMD16<UInt8>(1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27)
        sink.put(d * digits(unsafeBitCast(SIMD4(repeating: word(48)), to: SIMD16<UInt8>.self), powers))
    }

    @inline(__always) private func digits(_ bytes: SIMD16<UInt8>, _ power: UInt8) -> SIMD16<Float> {
        digits(bytes, SIMD16(repeating: power))
    }

    @inline(__always) private func digits(_ bytes: SIMD16<UInt8>, _ powers: SIMD16<UInt8>) -> SIMD16<Float> {
        (((bytes &* powers).integers &* 3) &>> 8).floats - 1
    }

    /// TQ2_0: numbers d (code − 1) of two bits, as those of Q2_K.
    @inline(__always) func ternaryPairs(into sink: inout some NumberSink) {
        let d = half(64)
        for group in 0..<2 { eight(twoBitCodes(group * 32), into: &sink) { _, codes in d * (codes.floats - 1) } }
    }

    /// What the codes of IQ4_NL and IQ4_XS stand for.
    @inline(__always) static var iq4: SIMD16<Int8> {
        SIMD16(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
    }

    /// What four bits of floating point stand for, twice: a sign, two bits of an exponent and one of a fraction.
    @inline(__always) static var fp4: SIMD16<Int8> { SIMD16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12) }

    @inline(__always) private func found(_ values: SIMD16<Int8>, _ codes: SIMD16<UInt8>) -> SIMD16<Float> {
        machine_look_up(unsafeBitCast(values, to: SIMD16<UInt8>.self), codes).signedFloats
    }

    /// 32 numbers of a table, the low halves of bytes and then the high ones.
    @inline(__always) func table(
        _ values: SIMD16<Int8>, codes: Int, scale: Float, into sink: inout some NumberSink
    ) {
        let pairs = bytes(codes)
        sink.put(scale * found(values, pairs & 15))
        sink.put(scale * found(values, pairs &>> 4))
    }

    /// IQ4_XS: eight parts of 32 numbers, whose scales d (s − 32) have four bits in one place and two in another.
    @inline(__always) func tableParts(into sink: inout some NumberSink) {
        for part in 0..<8 { table(Self.iq4, codes: 8 + 16 * part, scale: tableScale(part), into: &sink) }
    }

    @inline(__always) func tableScale(_ part: Int) -> Float {
        let high = byte(2) | byte(3) << 8
        let scale = byte(4 + part / 2) >> (part % 2 * 4) & 15 | (high >> (2 * part) & 3) << 4
        return half(0) * Float(scale - 32)
    }

    /// NVFP4: four parts of 16 numbers, each with a scale of four bits of exponent and three of fraction.
    @inline(__always) func tableQuarters(into sink: inout some NumberSink) {
        for part in 0..<4 {
            let pairs = start.loadUnaligned(fromByteOffset: 4 + 8 * part, as: SIMD8<UInt8>.self)
            let codes = SIMD16<UInt8>(lowHalf: pairs & 15, highHalf: pairs &>> 4)
            sink.put(halfScale(byte(part)) * found(Self.fp4, codes))
        }
    }

    /// Half of a scale of NVFP4.
    @inline(__always) private func halfScale(_ code: Int) -> Float {
        let (exponent, fraction) = (code >> 3 & 15, code & 7)
        if code == 0x7F { return 0 }
        if exponent == 0 { return Float(fraction) / 1024 }
        return Float(bitPattern: UInt32(exponent + 119) << 23 | UInt32(fraction) << 20)
    }

    /// MXFP4's scale, half of the power of two that a byte is the exponent of, plus 127.
    @inline(__always) func powerOfTwo(_ offset: Int) -> Float {
        let exponent = UInt32(byte(offset))
        return Float(bitPattern: exponent > 1 ? (exponent - 1) << 23 : exponent == 1 ? 0x40_0000 : 0x20_0000)
    }
}
