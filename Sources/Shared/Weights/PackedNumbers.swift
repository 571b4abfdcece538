/// How a tensor's numbers are packed that aren't stored one by one.
protocol PackedNumbers: Sendable {
    /// Bytes that a number takes in the file, on average.
    var bytesPerNumber: Double { get }

    /// How some columns of a row lie in memory; nil where that cuts what is packed together.
    func format(columns: Range<Int>) -> RowFormat?

    /// Copies some columns of a row in their format.
    ///
    /// - Throws: `WeightsError` if a scale among them is no number.
    func copy(
        _ tensor: StoredTensor, row: Int, columns: Range<Int>, into target: UnsafeMutableRawPointer
    ) throws(WeightsError)

    /// Unpacks some columns of a row.
    func widen(_ tensor: StoredTensor, row: Int, columns: Range<Int>, into target: UnsafeMutablePointer<Float>)

    /// - Throws: `WeightsError` if a scale of some columns of a row is no number.
    func expectNumbers(_ tensor: StoredTensor, row: Int, columns: Range<Int>) throws(WeightsError)

    /// Lets go of the pages of some rows; false if the tensor's own bytes are all there is.
    func release(rows: Range<Int>) -> Bool
}

/// Blocks in the order of their numbers.
extension BlockQuantization: PackedNumbers {
    var bytesPerNumber: Double { Double(byteCount) / Double(size) }

    func format(columns: Range<Int>) -> RowFormat? {
        columns.lowerBound.isMultiple(of: size) && columns.count.isMultiple(of: size) ? .blocks(self) : nil
    }

    func copy(
        _ tensor: StoredTensor, row: Int, columns: Range<Int>, into target: UnsafeMutableRawPointer
    ) throws(WeightsError) {
        guard let start = rowStart(tensor, row) else { return }
        let blocks = start + columns.lowerBound / size * byteCount
        try expectNumbers(tensor, row: row, columns: columns)
        target.copyMemory(from: blocks, byteCount: columns.count / size * byteCount)
    }

    func widen(_ tensor: StoredTensor, row: Int, columns: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        guard let start = rowStart(tensor, row) else { return }
        unpack(start, columns: columns, into: target)
    }

    func release(rows: Range<Int>) -> Bool { false }

    private func rowStart(_ tensor: StoredTensor, _ row: Int) -> UnsafeRawPointer? {
        tensor.bytes.baseAddress.map { $0 + row * (tensor.shape.last ?? 0) / size * byteCount }
    }

    /// Unpacks some columns of a row of blocks.
    private func unpack(_ row: UnsafeRawPointer, columns: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { buffer in
            guard let numbers = buffer.baseAddress else { return }
            var column = columns.lowerBound
            while column < columns.upperBound {
                let (index, first) = (column / size, column % size)
                let whole = first == 0 ? (columns.upperBound - column) / size : 0
                let x = target + (column - columns.lowerBound)
                if whole > 0 {
                    RowFormat.blocks(self).unpack(row + index * byteCount, count: whole * size, into: x)
                    column += whole * size
                } else {
                    let count = min(size - first, columns.upperBound - column)
                    RowFormat.blocks(self).unpack(row + index * byteCount, count: size, into: numbers)
                    x.update(from: numbers + first, count: count)
                    column += count
                }
            }
        }
    }

    func expectNumbers(_ tensor: StoredTensor, row: Int, columns: Range<Int>) throws(WeightsError) {
        guard let start = rowStart(tensor, row), !columns.isEmpty else { return }
        for offset in scales {
            for index in columns.lowerBound / size...(columns.upperBound - 1) / size {
                let bits = (start + index * byteCount + offset).loadUnaligned(as: UInt16.self)
                guard bits & 0x7C00 != 0x7C00 else {
                    throw tensor.error("has a scale in row \(row) that is no finite number: the file is damaged")
                }
            }
        }
    }

    /// Where in a block float16 scales are.
    private var scales: [Int] {
        switch self {
        case .q4_0, .q5_0, .q8_0, .iq4_NL, .iq4_XS: [0]
        case .q4_1, .q5_1, .q4_K, .q5_K: [0, 2]
        case .q6_K: [208]
        case .q2_K: [80, 82]
        case .q3_K: [108]
        case .tq1_0: [52]
        case .tq2_0: [64]
        case .mxfp4, .nvfp4: []
        }
    }
}
