import Shared
import Synchronization

/// A row-major matrix of bfloat16 in memory that somebody else owns: an operand of a product.
struct BFloat16Matrix: @unchecked Sendable {
    let start: UnsafeMutablePointer<UInt16>
    let rows: Int
    let columns: Int
    /// Elements between the starts of two rows.
    let stride: Int

    subscript(rows range: Range<Int>) -> BFloat16Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return BFloat16Matrix(
            start: start + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride)
    }

    subscript(columns range: Range<Int>) -> BFloat16Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns)
        return BFloat16Matrix(start: start + range.lowerBound, rows: rows, columns: range.count, stride: stride)
    }

    /// Elements between rows in memory of our own: they begin at multiples of 64 bytes, and never a multiple of 4096
    /// bytes apart, where they would evict each other from the cache.
    static func stride(columns: Int) -> Int {
        let stride = (columns + 31) & ~31
        return stride.isMultiple(of: 2048) ? stride + 32 : stride
    }

    /// The first element of a row.
    @inline(__always) func row(_ row: Int) -> UnsafeMutablePointer<UInt16> { start + row * stride }

    /// Rounds a matrix of the same shape into this one: to nearest, ties to even.
    func round(_ matrix: Matrix) {
        precondition(rows == matrix.rows && columns == matrix.columns)
        matrix.compute.rows(rows, of: columns) { range in
            for row in range { BFloat16.round(matrix.row(row), into: self.row(row), count: columns) }
        }
    }
}

extension Matrix {
    /// Rounds one row in place: its elements move together into the first half of its memory.
    ///
    /// For what is an operand of products and nothing else afterwards, like the gradient of logits.
    func roundInPlace(_ row: Int) { BFloat16.roundInPlace(UnsafeMutableRawPointer(self.row(row)), count: columns) }

    /// This matrix after `roundInPlace` of all rows.
    var rounded: BFloat16Matrix {
        let start = UnsafeMutableRawPointer(start).assumingMemoryBound(to: UInt16.self)
        return BFloat16Matrix(start: start, rows: rows, columns: columns, stride: 2 * stride)
    }
}

/// Memory for the rounded operands of one product at a time, which grows to the largest.
final class RoundedOperands: Sendable {
    private let memory = Mutex((first: RoundedOperand(), second: RoundedOperand()))

    /// Runs `body` with both operands rounded.
    func with(_ a: Matrix, _ b: Matrix, _ body: (BFloat16Matrix, BFloat16Matrix) -> Void) {
        memory.withLock { body($0.first.round(a), $0.second.round(b)) }
    }

    /// Runs `body` with one operand rounded.
    func with(_ a: Matrix, _ body: (BFloat16Matrix) -> Void) {
        memory.withLock { body($0.first.round(a)) }
    }

    /// Runs `body` with one operand rounded, in memory for a number of rows with nothing between them.
    func with(_ a: Matrix, inMemoryForRows rows: Int, _ body: (BFloat16Matrix) -> Void) {
        memory.withLock { body($0.first.round(a, rows: rows, stride: a.columns)) }
    }
}

private struct RoundedOperand: @unchecked Sendable {
    private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 0, alignment: 64)

    mutating func round(_ matrix: Matrix) -> BFloat16Matrix {
        round(matrix, rows: matrix.rows, stride: BFloat16Matrix.stride(columns: matrix.columns))
    }

    /// - Parameter rows: Rows that there is memory for.
    mutating func round(_ matrix: Matrix, rows: Int, stride: Int) -> BFloat16Matrix {
        let bytes = 2 * rows * stride
        if memory.count < bytes {
            memory.deallocate()
            memory = .allocate(byteCount: bytes, alignment: 64)
        }
        guard let start = memory.bindMemory(to: UInt16.self).baseAddress else {
            preconditionFailure("an operand without elements")
        }
        let rounded = BFloat16Matrix(start: start, rows: matrix.rows, columns: matrix.columns, stride: stride)
        rounded.round(matrix)
        return rounded
    }
}
