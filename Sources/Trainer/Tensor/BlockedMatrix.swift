import CMachine
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

    /// Reads some columns of rows of a stored tensor, one for each row.
    func read(_ tensor: StoredTensor, rows: ArraySlice<Int>, columns: Range<Int>) {
        withSixteenRows(of: columns.count) { values, stride in
            for part in (0..<rows.count).chunks(Self.rowsOfLines) {
                for row in part {
                    let target = values + (row - part.lowerBound) * stride
                    tensor.round(row: rows[rows.startIndex + row], columns: columns, into: target)
                }
                write(values, stride, rows: part, columns: 0..<columns.count)
            }
        }
    }

    /// Unpacks a weight of the same shape, on the calling thread.
    func unpack(_ weight: PackedMatrix) {
        precondition(weight.rows == rows && weight.columns == columns)
        let width = weight.tileWidth(1024)
        withSixteenRows(of: width) { values, stride in
            for rows in (0..<rows).chunks(Self.rowsOfLines) {
                for tile in weight.tiles(width) {
                    weight.eachRow(in: rows) { row, bytes, format in
                        format.unpack(
                            bytes + format.byteCount(columns: tile.lowerBound), count: tile.count,
                            into: values + (row - rows.lowerBound) * stride)
                    }
                    write(values, stride, rows: rows, columns: tile)
                }
            }
        }
    }

    /// Rows that are written together, since their pairs of columns fill cache lines.
    private static let rowsOfLines = 16

    /// Runs `body` with memory for sixteen rows of some columns, and the elements from one row to the next: more than they take,
    /// as rows that lie a power of two apart would want the same places of the cache.
    private func withSixteenRows(of columns: Int, _ body: (UnsafeMutablePointer<UInt16>, _ stride: Int) -> Void) {
        let stride = (columns + 63) & ~31
        withUnsafeTemporaryAllocation(byteCount: 2 * Self.rowsOfLines * stride, alignment: 64) { buffer in
            guard let values = buffer.bindMemory(to: UInt16.self).baseAddress else { return }
            body(values, stride)
        }
    }

    /// Writes some columns of up to sixteen rows.
    private func write(_ values: UnsafePointer<UInt16>, _ stride: Int, rows: Range<Int>, columns: Range<Int>) {
        let isWhole =
            rows.count == Self.rowsOfLines && (firstRow + rows.lowerBound).isMultiple(of: Self.rowsOfLines)
            && (firstColumn + columns.lowerBound).isMultiple(of: 2)
        let transposed = isWhole ? columns.count & ~31 : 0
        for column in Swift.stride(from: 0, to: transposed, by: 32) {
            machine_transpose_words(
                values + column, 2 * stride, start + offset(rows.lowerBound, columns.lowerBound + column),
                4 * Self.blockRows)
        }
        for column in transposed..<columns.count {
            let target = start + columnOffset(columns.lowerBound + column)
            for row in rows { target[rowOffset(row)] = values[(row - rows.lowerBound) * stride + column] }
        }
    }
}
