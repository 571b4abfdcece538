/// Microscaling of 4-bit floating point (OCP Microscaling Formats 1.0) as gpt-oss ships its experts: groups of 32 numbers
/// of one sign, two exponent and one fraction bit share a power of two.
///
/// Blocks are [experts, rows, groups, 16], two numbers that are neighbours a byte, the low half first; scales
/// [experts, rows, groups], the exponent plus 127. In memory they are ggml's blocks, whose halves of bytes are sixteen
/// numbers apart.
public struct MXFP4Tensor: PackedNumbers {
    private let blocks: StoredTensor
    private let scales: StoredTensor
    private let groups: Int

    private static let quantization = BlockQuantization.mxfp4
    /// Numbers that share a scale.
    static let groupSize = 32

    var bytesPerNumber: Double { Self.quantization.bytesPerNumber }

    func format(columns: Range<Int>) -> RowFormat? { Self.quantization.format(columns: columns) }

    func copy(
        _ tensor: StoredTensor, row: Int, columns: Range<Int>, into target: UnsafeMutableRawPointer
    ) throws(WeightsError) {
        try expectNumbers(tensor, row: row, columns: columns)
        let first = columns.lowerBound / Self.groupSize
        for index in 0..<columns.count / Self.groupSize {
            let group = row * groups + first + index
            copy(group, into: target + index * Self.quantization.byteCount)
        }
    }

    func widen(_ tensor: StoredTensor, row: Int, columns: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        withUnsafeTemporaryAllocation(byteCount: Self.quantization.byteCount, alignment: 16) { block in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.groupSize) { numbers in
                guard let start = numbers.baseAddress, let packed = block.baseAddress else { return }
                for column in columns {
                    let place = column % Self.groupSize
                    if place == 0 || column == columns.lowerBound {
                        copy(row * groups + column / Self.groupSize, into: packed)
                        RowFormat.blocks(Self.quantization).unpack(packed, count: Self.groupSize, into: start)
                    }
                    target[column - columns.lowerBound] = start[place]
                }
            }
        }
    }

    func expectNumbers(_ tensor: StoredTensor, row: Int, columns: Range<Int>) throws(WeightsError) {
        guard !columns.isEmpty else { return }
        for group in columns.lowerBound / Self.groupSize...(columns.upperBound - 1) / Self.groupSize
        where scales.bytes[row * groups + group] == 255 {
            throw scales.error("has a scale in row \(row) that is no number: the file is damaged")
        }
    }

    func release(rows: Range<Int>) -> Bool {
        blocks.release(rows: rows.lowerBound * groups..<rows.upperBound * groups)
        scales.release(rows: rows)
        return true
    }

    /// Copies a group as a block of ggml's.
    private func copy(_ group: Int, into block: UnsafeMutableRawPointer) {
        block.storeBytes(of: scales.bytes[group], as: UInt8.self)
        let bytes = blocks.bytes
        for i in 0..<16 {
            let (low, high) = (bytes[group * 16 + i / 2], bytes[group * 16 + 8 + i / 2])
            let pair = i.isMultiple(of: 2) ? low & 15 | high << 4 : low >> 4 | high & 0xF0
            block.storeBytes(of: pair, toByteOffset: 1 + i, as: UInt8.self)
        }
    }
}

extension MXFP4Tensor {
    /// - Parameters:
    ///   - blocks: [experts, rows, groups, 16].
    ///   - scales: [experts, rows, groups].
    private init(_ blocks: StoredTensor, _ scales: StoredTensor) {
        (self.blocks, self.scales, groups) = (blocks, scales, scales.shape[2])
    }

    /// The matrices of all experts as one tensor, [experts, rows, columns].
    public static func tensor(_ name: String, blocks: StoredTensor, scales: StoredTensor) throws(WeightsError)
        -> StoredTensor
    {
        for tensor in [blocks, scales] where tensor.type != .uint8 {
            throw tensor.error("is of type \(tensor.type.rawValue), should be U8")
        }
        guard scales.shape.count == 3 else { throw scales.error("has shape \(scales.shape), should have three axes") }
        try blocks.expect(scales.shape + [groupSize / 2])
        return StoredTensor(
            name: name, type: .uint8, shape: scales.shape.dropLast() + [scales.shape[2] * groupSize],
            file: blocks.file, range: blocks.range, packing: MXFP4Tensor(blocks, scales))
    }
}
