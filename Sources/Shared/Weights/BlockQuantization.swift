/// How llama.cpp packs numbers: blocks that share a scale, or scales of parts of the block.
///
/// The layouts are those of ggml's `ggml-common.h`. Scales of a block are float16 unless said otherwise; d is that of the
/// whole block.
public enum BlockQuantization: String, CaseIterable, Sendable {
    case q4_0 = "Q4_0"
    case q4_1 = "Q4_1"
    case q5_0 = "Q5_0"
    case q5_1 = "Q5_1"
    case q8_0 = "Q8_0"
    case q4_K = "Q4_K"
    case q5_K = "Q5_K"
    case q6_K = "Q6_K"
    case q2_K = "Q2_K"
    case q3_K = "Q3_K"
    case iq4_NL = "IQ4_NL"
    case iq4_XS = "IQ4_XS"
    case tq1_0 = "TQ1_0"
    case tq2_0 = "TQ2_0"
    case mxfp4 = "MXFP4"
    case nvfp4 = "NVFP4"

    /// Numbers in a block.
    public var size: Int {
        switch self {
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .iq4_NL, .mxfp4: 32
        case .nvfp4: 64
        case .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq4_XS, .tq1_0, .tq2_0: 256
        }
    }

    /// Bytes of a block.
    public var byteCount: Int {
        switch self {
        case .q4_0: 18
        case .q4_1: 20
        case .q5_0: 22
        case .q5_1: 24
        case .q8_0: 34
        case .q4_K: 144
        case .q5_K: 176
        case .q6_K: 210
        case .q2_K: 84
        case .q3_K: 110
        case .iq4_NL: 18
        case .iq4_XS: 136
        case .tq1_0: 54
        case .tq2_0: 66
        case .mxfp4: 17
        case .nvfp4: 36
        }
    }

    /// Unpacks some blocks.
    @inline(__always) func unpack(_ blocks: UnsafeRawPointer, count: Int, into sink: inout some NumberSink) {
        switch self {
        case .q4_0: each(blocks, count) { $0.halves(codes: 2, shift: -8, into: &sink) }
        case .q4_1: each(blocks, count) { $0.halves(codes: 4, least: $0.half(2), into: &sink) }
        case .q5_0: each(blocks, count) { $0.halves(codes: 6, fifthBits: 2, shift: -16, into: &sink) }
        case .q5_1: each(blocks, count) { $0.halves(codes: 8, fifthBits: 4, least: $0.half(2), into: &sink) }
        case .q8_0: each(blocks, count) { $0.signedBytes(into: &sink) }
        case .q4_K: each(blocks, count) { $0.superBlock(codes: 16, fifthBits: nil, into: &sink) }
        case .q5_K: each(blocks, count) { $0.superBlock(codes: 48, fifthBits: 16, into: &sink) }
        case .q6_K: each(blocks, count) { $0.sixBits(into: &sink) }
        case .q2_K: each(blocks, count) { $0.twoBits(into: &sink) }
        case .q3_K: each(blocks, count) { $0.threeBits(into: &sink) }
        case .iq4_NL: each(blocks, count) { $0.table(PackedBlock.iq4, codes: 2, scale: $0.half(0), into: &sink) }
        case .iq4_XS: each(blocks, count) { $0.tableParts(into: &sink) }
        case .tq1_0: each(blocks, count) { $0.ternary(into: &sink) }
        case .tq2_0: each(blocks, count) { $0.ternaryPairs(into: &sink) }
        case .mxfp4: each(blocks, count) { $0.table(PackedBlock.fp4, codes: 1, scale: $0.powerOfTwo(0), into: &sink) }
        case .nvfp4: each(blocks, count) { $0.tableQuarters(into: &sink) }
        }
    }

    @inline(__always) func each(_ blocks: UnsafeRawPointer, _ count: Int, _ body: (PackedBlock) -> Void) {
        for index in 0..<count { body(PackedBlock(start: blocks + index * byteCount)) }
    }
}

/// The bytes of a block.
struct PackedBlock {
    let start: UnsafeRawPointer

    @inline(__always) func byte(_ offset: Int) -> Int { Int(start.load(fromByteOffset: offset, as: UInt8.self)) }
    @inline(__always) func half(_ offset: Int) -> Float {
        Float(start.loadUnaligned(fromByteOffset: offset, as: Float16.self))
    }
    @inline(__always) func word(_ offset: Int) -> UInt32 {
        start.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }
    @inline(__always) func bytes(_ offset: Int) -> SIMD16<UInt8> {
        start.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
    }

    /// 32 numbers d (code + shift) + least of four bits, the low halves of sixteen bytes and then the high ones, with a
    /// fifth bit of each or without.
    @inline(__always) func halves(
        codes: Int, fifthBits: Int? = nil, shift: Float? = nil, least: Float? = nil, into sink: inout some NumberSink
    ) {
        let (d, pairs) = (half(0), bytes(codes))
        var (low, high) = ((pairs & 15).integers, (pairs &>> 4).integers)
        if let fifthBits {
            let lanes = SIMD16<UInt32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
            let bits = word(fifthBits)
            let first = (SIMD16(repeating: bits) &>> lanes & 1) &<< 4
            let second = (SIMD16(repeating: bits &>> 16) &>> lanes & 1) &<< 4
            low |= unsafeBitCast(first, to: SIMD16<Int32>.self)
            high |= unsafeBitCast(second, to: SIMD16<Int32>.self)
        }
        let numbers = { (codes: SIMD16<Float>) in
            let scaled = d * (shift.map { codes + $0 } ?? codes)
            return least.map { scaled + $0 } ?? scaled
        }
        sink.put(numbers(low.floats))
        sink.put(numbers(high.floats))
    }

    /// Q8_0.
    @inline(__always) func signedBytes(into sink: inout some NumberSink) {
        let d = half(0)
        sink.put(d * bytes(2).signedFloats)
        sink.put(d * bytes(18).signedFloats)
    }

    /// Q4_K and Q5_K: eight parts of 32 numbers d s code − m t, with six bits each for a part's s and t.
    @inline(__always) func superBlock(codes: Int, fifthBits: Int?, into sink: inout some NumberSink) {
        let (scales, shifts) = partScales()
        for pair in 0..<4 {
            let first = bytes(codes + pair * 32)
            let second = bytes(codes + pair * 32 + 16)
            var parts = (first & 15, second & 15, first &>> 4, second &>> 4)
            if let fifthBits {
                let (low, high) = (bytes(fifthBits), bytes(fifthBits + 16))
                let even = SIMD16<UInt8>(repeating: UInt8(truncatingIfNeeded: 2 &* pair))
                parts.0 |= (low &>> even & 1) &<< 4
                parts.1 |= (high &>> even & 1) &<< 4
                parts.2 |= (low &>> (even &+ 1) & 1) &<< 4
                parts.3 |= (high &>> (even &+ 1) & 1) &<< 4
            }
            sink.put(scales[2 * pair] * parts.0.floats - shifts[2 * pair])
            sink.put(scales[2 * pair] * parts.1.floats - shifts[2 * pair])
            sink.put(scales[2 * pair + 1] * parts.2.floats - shifts[2 * pair + 1])
            sink.put(scales[2 * pair + 1] * parts.3.floats - shifts[2 * pair + 1])
        }
    }

    /// d s and m t of the eight parts, of twelve bytes from the fifth on: of the first four parts in six bits of a byte,
    /// of the others four bits together and two in the first ones' bytes.
    @inline(__always) func partScales() -> (SIMD8<Float>, SIMD8<Float>) {
        let (a, b, c) = (word(4), word(8), word(12))
        let scales = UInt64(a & 0x3F3F_3F3F) | UInt64(c & 0x0F0F_0F0F | (a &>> 6 & 0x0303_0303) &<< 4) &<< 32
        let shifts = UInt64(b & 0x3F3F_3F3F) | UInt64(c &>> 4 & 0x0F0F_0F0F | (b &>> 6 & 0x0303_0303) &<< 4) &<< 32
        let floats = { (bytes: UInt64) in unsafeBitCast(SIMD2(bytes, 0), to: SIMD16<UInt8>.self).floats.lowHalf }
        return (half(0) * floats(scales), half(2) * floats(shifts))
    }

    /// Q6_K: sixteen parts of 16 numbers d s (code − 32), four bits of a code in one array and two in another.
    @inline(__always) func sixBits(into sink: inout some NumberSink) {
        let scales = half(208) * bytes(192).signedFloats
        for group in 0..<2 {
            let high = twoBitCodes(128 + group * 32)
            let (a, b) = (bytes(group * 64), bytes(group * 64 + 16))
            let (c, d) = (bytes(group * 64 + 32), bytes(group * 64 + 48))
            let low = (a & 15, b & 15, c & 15, d & 15, a &>> 4, b &>> 4, c &>> 4, d &>> 4)
            let codes = (
                low.0 | high.0 &<< 4, low.1 | high.1 &<< 4, low.2 | high.2 &<< 4, low.3 | high.3 &<< 4,
                low.4 | high.4 &<< 4, low.5 | high.5 &<< 4, low.6 | high.6 &<< 4, low.7 | high.7 &<< 4
            )
            eight(codes, into: &sink) { part, codes in scales[group * 8 + part] * (codes.floats - 32) }
        }
    }
}
