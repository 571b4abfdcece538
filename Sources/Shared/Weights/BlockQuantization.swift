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
    var size: Int {
        switch self {
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .iq4_NL, .mxfp4: 32
        case .nvfp4: 64
        case .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq4_XS, .tq1_0, .tq2_0: 256
        }
    }

    /// Bytes of a block.
    var byteCount: Int {
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

    private static let largestSize = 256

    /// Unpacks some columns of a row of blocks.
    func unpack(_ row: UnsafeRawPointer, columns: Range<Int>, into x: UnsafeMutablePointer<Float>) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.largestSize) { buffer in
            guard let numbers = buffer.baseAddress else { return }
            var column = columns.lowerBound
            while column < columns.upperBound {
                let (index, first) = (column / size, column % size)
                let count = min(size - first, columns.upperBound - column)
                unpack(row + index * byteCount, into: numbers)
                (x + (column - columns.lowerBound)).update(from: numbers + first, count: count)
                column += count
            }
        }
    }

    /// Unpacks one block into `size` numbers.
    private func unpack(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
        let block = PackedBlock(start: block)
        switch self {
        case .q4_0: block.halves(d: 0, codes: 2, into: x) { d, code in d * Float(code - 8) }
        case .q4_1:
            let m = block.half(2)
            block.halves(d: 0, codes: 4, into: x) { d, code in d * Float(code) + m }
        case .q5_0: block.halves(d: 0, codes: 6, fifthBits: 2, into: x) { d, code in d * Float(code - 16) }
        case .q5_1:
            let m = block.half(2)
            block.halves(d: 0, codes: 8, fifthBits: 4, into: x) { d, code in d * Float(code) + m }
        case .q8_0:
            let d = block.half(0)
            for i in 0..<32 { x[i] = d * Float(block.signed(2 + i)) }
        case .q4_K: block.superBlock(codes: 16, fifthBits: nil, into: x)
        case .q5_K: block.superBlock(codes: 48, fifthBits: 16, into: x)
        case .q6_K: block.sixBits(into: x)
        case .q2_K: block.twoBits(into: x)
        case .q3_K: block.threeBits(into: x)
        case .iq4_NL: block.table(PackedBlock.iq4, codes: 2, scale: block.half(0), into: x)
        case .iq4_XS: block.tableParts(into: x)
        case .tq1_0: block.ternary(into: x)
        case .tq2_0: block.ternaryPairs(into: x)
        case .mxfp4: block.table(PackedBlock.fp4, codes: 1, scale: block.powerOfTwo(0), into: x)
        case .nvfp4: block.tableQuarters(into: x)
        }
    }
}

/// The bytes of a block.
struct PackedBlock {
    let start: UnsafeRawPointer

    @inline(__always) func byte(_ offset: Int) -> Int { Int(start.load(fromByteOffset: offset, as: UInt8.self)) }
    @inline(__always) func signed(_ offset: Int) -> Int { Int(start.load(fromByteOffset: offset, as: Int8.self)) }
    @inline(__always) func half(_ offset: Int) -> Float {
        Float(start.loadUnaligned(fromByteOffset: offset, as: Float16.self))
    }

    /// 32 numbers of four bits, the low halves of sixteen bytes and then the high ones, with a fifth bit of each or
    /// without.
    @inline(__always) func halves(
        d: Int, codes: Int, fifthBits: Int? = nil, into x: UnsafeMutablePointer<Float>,
        _ number: (_ d: Float, _ code: Int) -> Float
    ) {
        let d = half(d)
        let high = fifthBits.map { Int(start.loadUnaligned(fromByteOffset: $0, as: UInt32.self)) } ?? 0
        for i in 0..<16 {
            let code = byte(codes + i)
            x[i] = number(d, code & 15 | (high >> i & 1) << 4)
            x[i + 16] = number(d, code >> 4 | (high >> (i + 16) & 1) << 4)
        }
    }

    /// Q4_K and Q5_K: eight parts of 32 numbers d s code − m t, with six bits each for a part's s and t.
    @inline(__always) func superBlock(codes: Int, fifthBits: Int?, into x: UnsafeMutablePointer<Float>) {
        let (d, m) = (half(0), half(2))
        for part in 0..<8 {
            let (s, t) = partScales(part)
            let (scale, shift) = (d * Float(s), m * Float(t))
            for i in 0..<32 {
                let pair = byte(codes + part / 2 * 32 + i)
                var code = part.isMultiple(of: 2) ? pair & 15 : pair >> 4
                if let fifthBits { code |= (byte(fifthBits + i) >> part & 1) << 4 }
                x[part * 32 + i] = scale * Float(code) - shift
            }
        }
    }

    /// The two six-bit scales of a part, of twelve bytes from the fifth on.
    private func partScales(_ part: Int) -> (Int, Int) {
        let (low, high) = (byte(4 + part), byte(8 + part))
        guard part >= 4 else { return (low & 63, high & 63) }
        return (high & 15 | (byte(part) >> 6) << 4, high >> 4 | (low >> 6) << 4)
    }

    /// Q6_K: sixteen parts of 16 numbers d s (code − 32), four bits of a code in one array and two in another.
    @inline(__always) func sixBits(into x: UnsafeMutablePointer<Float>) {
        let d = half(208)
        for i in 0..<256 {
            let (group, position) = (i / 128, i % 128)
            let low = byte(group * 64 + position % 64)
            let high = byte(128 + group * 32 + position % 32) >> (position / 32 * 2) & 3
            let code = (position < 64 ? low & 15 : low >> 4) | high << 4
            x[i] = d * Float(signed(192 + i / 16)) * Float(code - 32)
        }
    }
}
