import Glibc
import Shared

/// A weight that isn't trained, of [out features, in features]: float32, bfloat16 at half the memory, or as packed as
/// its file holds it.
enum FrozenWeight {
    /// Held as [in features, out features]: a product of many rows is faster so, the fewer they are the more
    /// (Documentation/Performance.md).
    case float32(Matrix)
    case bfloat16(BFloat16Matrix)
    case packed(PackedMatrix)
    /// bfloat16 as kernels read it, where there are such.
    case blocked(BlockedMatrix)

    /// Out features.
    var rows: Int {
        switch self {
        case .float32(let weight): weight.columns
        case .bfloat16(let weight): weight.rows
        case .packed(let weight): weight.rows
        case .blocked(let weight): weight.rows
        }
    }

    /// In features.
    var columns: Int {
        switch self {
        case .float32(let weight): weight.rows
        case .bfloat16(let weight): weight.columns
        case .packed(let weight): weight.columns
        case .blocked(let weight): weight.columns
        }
    }

    /// y = x Wᵀ, or y += x Wᵀ.
    ///
    /// x: [rows, in features], y: [rows, out features].
    func apply(_ x: Matrix, into y: Matrix, accumulate: Bool = false) {
        switch self {
        case .float32(let weight) where x.rows <= FewRows.most || x.compute.hasIndependentRows:
            FewRows.multiply(x, byInputs: weight, into: y, accumulate: accumulate)
        case .float32(let weight): multiply(x, weight, into: y, accumulate: accumulate)
        case .bfloat16(let weight) where x.compute.hasIndependentRows:
            IndependentRows.multiply(x, weight, into: y, accumulate: accumulate)
        case .bfloat16(let weight): multiply(x, transposed: weight, into: y, accumulate: accumulate)
        case .packed(let weight) where x.compute.hasIndependentRows:
            IndependentRows.multiply(x, weight, into: y, accumulate: accumulate)
        case .packed(let weight): multiply(x, transposed: weight, into: y, accumulate: accumulate)
        case .blocked(let weight) where x.rows <= FewRows.most && !x.compute.hasIndependentRows:
            FewRows.multiply(x, weight, into: y, accumulate: accumulate)
        case .blocked(let weight): multiply(x, transposed: weight, into: y, accumulate: accumulate)
        }
    }

    /// Writes one row as float32.
    func copyRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        switch self {
        case .float32(let weight): for i in 0..<weight.rows { target[i] = weight[i, row] }
        case .bfloat16(let weight): BFloat16.widen(weight.row(row), into: target, count: weight.columns)
        case .packed(let weight):
            weight.eachRow(in: row..<row + 1) { $2.unpack($1, count: weight.columns, into: target) }
        case .blocked(let weight): weight.widen(row, into: target)
        }
    }

    /// The rows in `range`.
    subscript(rows range: Range<Int>) -> FrozenWeight {
        switch self {
        case .float32(let weight): .float32(weight[columns: range])
        case .bfloat16(let weight): .bfloat16(weight[rows: range])
        case .packed(let weight): .packed(weight[rows: range])
        case .blocked(let weight): .blocked(weight[rows: range])
        }
    }

    /// The columns in `range`, of a weight that isn't packed.
    subscript(columns range: Range<Int>) -> FrozenWeight {
        switch self {
        case .float32(let weight): .float32(weight[rows: range])
        case .bfloat16(let weight): .bfloat16(weight[columns: range])
        case .packed: preconditionFailure("columns of a packed weight")
        case .blocked(let weight): .blocked(weight[columns: range])
        }
    }

    /// Reads some columns of rows of a stored tensor, one for each row.
    ///
    /// - Throws: `WeightsError` if a packed weight has a scale that is no number.
    func read(_ tensor: StoredTensor, rows: ArraySlice<Int>, columns: Range<Int>) throws(WeightsError) {
        if tensor.isPacked { for row in rows { try tensor.expectNumbers(row: row, columns: columns) } }
        switch self {
        case .float32(let weight): Self.readTransposed(tensor, rows, columns, into: weight)
        case .bfloat16(let weight):
            for (index, row) in rows.enumerated() { tensor.round(row: row, columns: columns, into: weight.row(index)) }
        case .blocked(let weight): weight.read(tensor, rows: rows, columns: columns)
        case .packed(let weight):
            var first = rows.startIndex
            for segment in weight.segments {
                for row in 0..<segment.rows {
                    try tensor.copyStored(row: rows[first + row], columns: columns, into: segment.row(row))
                }
                first += segment.rows
            }
        }
    }

    /// By sixteen rows at a time, which fill whole cache lines.
    private static func readTransposed(
        _ tensor: StoredTensor, _ rows: ArraySlice<Int>, _ columns: Range<Int>, into weight: Matrix
    ) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 16 * columns.count) { buffer in
            guard let start = buffer.baseAddress else { return }
            for first in stride(from: 0, to: rows.count, by: 16) {
                let some = rows.dropFirst(first).prefix(16)
                for (i, row) in some.enumerated() {
                    tensor.widen(row: row, columns: columns, into: start + i * columns.count)
                }
                for column in 0..<columns.count {
                    let target = weight.row(column) + first
                    for i in 0..<some.count { target[i] = start[i * columns.count + column] }
                }
            }
        }
    }

    /// Writes a number everywhere; into what is packed zero bytes, whose scales are zero then.
    func fill(_ value: Float) {
        switch self {
        case .float32(let weight): weight.fill(value)
        case .bfloat16(let weight):
            for row in 0..<rows { weight.row(row).update(repeating: BFloat16.bits(value), count: columns) }
        case .blocked(let weight):
            for row in 0..<rows { for column in 0..<columns { weight[row, column] = BFloat16.bits(value) } }
        case .packed(let weight):
            for segment in weight.segments {
                memset(segment.start, 0, segment.rows * segment.stride)
            }
        }
    }

    /// Writes one number, in a weight that isn't packed.
    func set(_ row: Int, _ column: Int, _ value: Float) {
        switch self {
        case .float32(let weight): weight[column, row] = value
        case .bfloat16(let weight): weight.row(row)[column] = BFloat16.bits(value)
        case .blocked(let weight): weight[row, column] = BFloat16.bits(value)
        case .packed: preconditionFailure("a packed weight is read from a file alone")
        }
    }
}
