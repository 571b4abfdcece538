import Shared

/// A weight of bfloat16, [out features, in features], in the order in which oneDNN's kernels read it: its `BA16a64b2a`.
///
/// Blocks of 64 rows, each of all columns; in a block 32 columns at a time, and of these pairs of neighbours, row after
/// row. What isn't there is zero. In memory that somebody else owns. Products of some tens of rows with it are half as
/// fast again and more as with a weight of rows, which is arranged so each time.
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

    /// Where a block begins, of a matrix that isn't a part of another one.
    func block(_ index: Int) -> UnsafeMutablePointer<UInt16> {
        precondition(firstRow == 0 && firstColumn == 0)
        return start + index * blockCount
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

    /// Reads some columns of rows of a stored tensor, one for each row: sixteen at a time, which fill cache lines.
    func read(_ tensor: StoredTensor, rows: ArraySlice<Int>, columns: Range<Int>) {
        let some = 16
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: some * columns.count) { buffer in
            guard let values = buffer.baseAddress else { return }
            for first in stride(from: 0, to: rows.count, by: some) {
                let part = rows.dropFirst(first).prefix(some)
                for (index, row) in part.enumerated() {
                    tensor.round(row: row, columns: columns, into: values + index * columns.count)
                }
                for column in 0..<columns.count {
                    let target = start + columnOffset(column)
                    for index in 0..<part.count {
                        target[rowOffset(first + index)] = values[index * columns.count + column]
                    }
                }
            }
        }
    }
}
