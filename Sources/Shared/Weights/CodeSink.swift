import CMachine

/// What takes the numbers of a row as codes and scales, as packed blocks have them: 32 at a time, in ascending order.
///
/// A number is scale · code − offset. Codes are small whole numbers, which bfloat16 holds as they are.
protocol CodeSink {
    /// 32 codes in bfloat16, two in a word; the scale of a word's is at its place.
    mutating func put(_ codes: SIMD16<UInt32>, _ scales: SIMD16<Float>)
    /// Offsets of eight thirty-twos of numbers that follow.
    mutating func put(offsets: SIMD8<Float>)
    /// The offset of 32 numbers that follow.
    mutating func put(offset: Float)
}

extension RowFormat {
    /// Whether rows can be read as codes.
    public var hasCodes: Bool {
        switch self {
        case .plain: false
        case .blocks(let quantization): quantization.hasCodes
        case .groups(let groups): groups.code == .fourBits
        }
    }

    /// Reads whole blocks of a row that has codes, `count` numbers.
    @inline(__always) func codes(_ row: UnsafeRawPointer, _ count: Int, into sink: inout some CodeSink) {
        switch self {
        case .plain: preconditionFailure("plain numbers have no codes")
        case .blocks(let quantization): quantization.codes(row, count: count / quantization.size, into: &sink)
        case .groups(let groups): groups.codes(row, count: count / groups.size, into: &sink)
        }
    }
}

extension BlockQuantization {
    var hasCodes: Bool {
        switch self {
        case .q4_0, .q4_1, .q4_K, .q5_K, .q6_K, .iq4_NL, .iq4_XS, .mxfp4: true
        case .q5_0, .q5_1, .q8_0, .q2_K, .q3_K, .tq1_0, .tq2_0, .nvfp4: false
        }
    }

    @inline(__always) func codes(_ blocks: UnsafeRawPointer, count: Int, into sink: inout some CodeSink) {
        switch self {
        case .q4_0:
            let table = CodeTable.signed
            each(blocks, count) { $0.codes(2, table, scale: $0.half(0), into: &sink) }
        case .q4_1:
            let table = CodeTable.plain
            each(blocks, count) {
                sink.put(offset: -$0.half(2))
                $0.codes(4, table, scale: $0.half(0), into: &sink)
            }
        case .iq4_NL:
            let table = CodeTable.iq4
            each(blocks, count) { $0.codes(2, table, scale: $0.half(0), into: &sink) }
        case .iq4_XS:
            let table = CodeTable.iq4
            each(blocks, count) { block in
                for part in 0..<8 { block.codes(8 + 16 * part, table, scale: block.tableScale(part), into: &sink) }
            }
        case .mxfp4:
            let table = CodeTable.fp4
            each(blocks, count) { $0.codes(1, table, scale: $0.powerOfTwo(0), into: &sink) }
        case .q4_K:
            let table = CodeTable.plain
            each(blocks, count) { $0.codesOfSuperBlock(16, table, into: &sink) }
        case .q5_K:
            let table = CodeTable.fiveBits
            each(blocks, count) { $0.codesOfSuperBlock(48, fifthBits: 16, table, into: &sink) }
        case .q6_K:
            let tables = (CodeTable.sixBits, CodeTable.fiveBits)
            each(blocks, count) { $0.codesOfSixBits(tables, into: &sink) }
        case .q5_0, .q5_1, .q8_0, .q2_K, .q3_K, .tq1_0, .tq2_0, .nvfp4: preconditionFailure("\(self) has no codes")
        }
    }
}

/// What codes stand for, in bfloat16: those of four bits twice, so that a fifth bit of an index makes no difference.
private enum CodeTable {
    static let plain = table { Float($0 & 15) }
    static let signed = table { Float($0 & 15) - 8 }
    static let iq4 = table { Float(PackedBlock.iq4[$0 & 15]) }
    static let fp4 = table { Float(PackedBlock.fp4[$0 & 15]) }
    static let fiveBits = table { Float($0) }
    /// Less 32: the first half; the second is that of five bits.
    static let sixBits = table { Float($0) - 32 }

    private static func table(_ number: (Int) -> Float) -> SIMD16<UInt32> {
        var table = SIMD16<UInt32>()
        for i in 0..<16 {
            table[i] = UInt32(BFloat16.bits(number(2 * i))) | UInt32(BFloat16.bits(number(2 * i + 1))) << 16
        }
        return table
    }
}

extension CodeGroups {
    @inline(__always) func codes(_ groups: UnsafeRawPointer, count: Int, into sink: inout some CodeSink) {
        let table = CodeTable.plain
        for index in 0..<count {
            let group = PackedBlock(start: groups + index * byteCount)
            let (scale, zero) = (Float(bitPattern: group.word(0)), Float(bitPattern: group.word(4)))
            for offset in stride(from: Self.headBytes, to: byteCount, by: 16) {
                sink.put(offset: scale * zero)
                group.codes(offset, table, scale: scale, into: &sink)
            }
        }
    }
}

extension PackedBlock {
    @inline(__always) private func halves(_ offset: Int) -> SIMD16<UInt32> {
        machine_halves_of_bytes(start.loadUnaligned(fromByteOffset: offset, as: SIMD32<UInt8>.self))
    }

    /// 32 codes of four bits, the low halves of sixteen bytes and then the high ones.
    @inline(__always) fileprivate func codes(
        _ offset: Int, _ table: SIMD16<UInt32>, scale: Float, into sink: inout some CodeSink
    ) {
        sink.put(
            machine_look_up_32(table, machine_halves_of_nibbles(bytes(offset))), SIMD16(repeating: scale))
    }

    /// Q4_K and Q5_K.
    @inline(__always) fileprivate func codesOfSuperBlock(
        _ codes: Int, fifthBits: Int? = nil, _ table: SIMD16<UInt32>, into sink: inout some CodeSink
    ) {
        let (scales, offsets) = partScales()
        sink.put(offsets: offsets)
        let fifth = fifthBits.map { halves($0) } ?? .zero
        for pair in 0..<4 {
            let both = halves(codes + 32 * pair)
            var (low, high) = (both, both &>> 4)
            if fifthBits != nil {
                let bits = fifth &>> UInt32(2 * pair)
                low = low & 0x000F_000F | (bits & 0x0001_0001) &<< 4
                high |= (bits & 0x0002_0002) &<< 3
            }
            sink.put(machine_look_up_32(table, low), SIMD16(repeating: scales[2 * pair]))
            sink.put(machine_look_up_32(table, high), SIMD16(repeating: scales[2 * pair + 1]))
        }
    }

    /// Q6_K.
    @inline(__always) fileprivate func codesOfSixBits(
        _ tables: (SIMD16<UInt32>, SIMD16<UInt32>), into sink: inout some CodeSink
    ) {
        let scales = half(208) * bytes(192).signedFloats
        for group in 0..<2 {
            let (a, b, two) = (halves(64 * group), halves(64 * group + 32), halves(128 + 32 * group))
            put(a, two &<< 4, scales, 8 * group, tables, into: &sink)
            put(b, two &<< 2, scales, 8 * group + 2, tables, into: &sink)
            put(a &>> 4, two, scales, 8 * group + 4, tables, into: &sink)
            put(b &>> 4, two &>> 2, scales, 8 * group + 6, tables, into: &sink)
        }
    }

    /// 32 codes of four bits and two, of two parts.
    @inline(__always) private func put(
        _ low: SIMD16<UInt32>, _ high: SIMD16<UInt32>, _ scales: SIMD16<Float>, _ part: Int,
        _ tables: (SIMD16<UInt32>, SIMD16<UInt32>), into sink: inout some CodeSink
    ) {
        let codes = machine_look_up_64(tables.0, tables.1, low & 0x000F_000F | high & 0x0030_0030)
        let (first, second) = (SIMD8<Float>(repeating: scales[part]), SIMD8<Float>(repeating: scales[part + 1]))
        sink.put(codes, SIMD16(lowHalf: first, highHalf: second))
    }
}
