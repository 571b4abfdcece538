import Shared

/// A weight of bfloat16, [out features, in features], in the order in which oneDNN's kernels read it: its `BA16a64b2a`.
///
/// Blocks of 64 rows, each of all columns; in a block 32 columns at a time, and of these pairs of neighbours, row after
/// row. What isn't there is zero. In memory that somebody else owns. A weight of rows is arranged so for each product, which
/// takes a tenth of those of many rows and half of those of some tens.
struct BlockedMatrix: @unchecked Sendable {
    static let blockRows = 64

    /// Of the whole matrix that this one is a part of.
    private let start: UnsafeMutablePointer<UInt16>
    private let (firstRow, firstColumn): (Int, Int)
    /// Elements of a block.
    let blockCount: Int
    let rows: Int
    let columns: Int

    /// - Parameter start: Memory of `count(rows:columns:)` zeros.
    init(start: UnsafeMutablePointer<UInt16>, rows: Int, columns: Int) {
        self.init(start, 0, 0, Self.count(rows: Self.blockRows, columns: columns), rows, columns)
    }

    private init(
        _ start: UnsafeMutablePointer<UInt16>, _ firstRow: Int, _ firstColumn: Int, _ blockCount: Int, _ rows: Int,
        _ columns: Int
    ) {
        self.start = start
        (self.firstRow, self.firstColumn, self.blockCount) = (firstRow, firstColumn, blockCount)
        (self.rows, self.columns) = (rows, columns)
    }

    /// Elements of memory.
    static func count(rows: Int, columns: Int) -> Int {
        (rows + blockRows - 1) / blockRows * blockRows * ((columns + 31) & ~31)
    }

    /// Where a block begins, of a matrix that begins with one.
    func block(_ index: Int) -> UnsafeMutablePointer<UInt16> {
        precondition(firstRow.isMultiple(of: Self.blockRows) && firstColumn == 0)
        return start + (firstRow / Self.blockRows + index) * blockCount
    }

    subscript(rows range: Range<Int>) -> BlockedMatrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return BlockedMatrix(start, firstRow + range.lowerBound, firstColumn, blockCount, range.count, columns)
    }

    subscript(columns range: Range<Int>) -> BlockedMatrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns)
        return BlockedMatrix(start, firstRow, firstColumn + range.lowerBound, blockCount, rows, range.count)
    }

    /// One element's bits.
    subscript(row: Int, column: Int) -> UInt16 {
        @inline(__always) get { start[offset(row, column)] }
        @inline(__always) nonmutating set { start[offset(row, column)] = newValue }
    }

    @inline(__always) private func offset(_ row: Int, _ column: Int) -> Int { rowOffset(row) + columnOffset(column) }

    @inline(__always) private func rowOffset(_ row: Int) -> Int {
        (firstRow + row) / Self.blockRows * blockCount + (firstRow + row) % Self.blockRows * 2
    }

    /// Pairs of columns are 64 rows apart, and so are 32 columns and the next 32.
    @inline(__always) private func columnOffset(_ column: Int) -> Int {
        (firstColumn + column) / 2 * 2 * Self.blockRows + (firstColumn + column) % 2
    }

    /// Writes one row as float32.
    func widen(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        let first = start + rowOffset(row)
        for column in 0..<columns { target[column] = BFloat16.float(first[columnOffset(column)]) }
    }

    /// Reads some columns of rows of a stored tensor, one for each row: sixteen at a time, which fill cache lines.
    func read(_ tensor: StoredTensor, rows: ArraySlice<Int>, columns: Range<Int>) {
        let (some, stride) = (16, columns.count + columns.count % 2)
        withUnsafeTemporaryAllocation(byteCount: 2 * some * stride, alignment: 64) { buffer in
            guard let values = buffer.bindMemory(to: UInt16.self).baseAddress else { return }
            for first in Swift.stride(from: 0, to: rows.count, by: some) {
                let part = rows.dropFirst(first).prefix(some)
                for (index, row) in part.enumerated() {
                    tensor.round(row: row, columns: columns, into: values + index * stride)
                }
                let isWhole = part.count == some && (firstRow + first).isMultiple(of: some)
                let pairs = isWhole && firstColumn.isMultiple(of: 2) ? columns.count / 2 : 0
                let words = UnsafeRawPointer(values).assumingMemoryBound(to: UInt32.self)
                for pair in 0..<pairs {
                    let target = UnsafeMutableRawPointer(start + offset(first, 2 * pair))
                        .assumingMemoryBound(to: UInt32.self)
                    for index in 0..<some { target[index] = words[index * stride / 2 + pair] }
                }
                for column in 2 * pairs..<columns.count {
                    let target = start + columnOffset(column)
                    for index in 0..<part.count {
                        target[rowOffset(first + index)] = values[index * stride + column]
                    }
                }
            }
        }
    }
}
