import Shared

/// A weight that isn't trained, of [out features, in features]: float32, or bfloat16 at half the memory.
enum FrozenWeight {
    /// Held as [in features, out features]: a product of many rows is faster so, the fewer they are the more
    /// (Documentation/Performance.md).
    case float32(Matrix)
    case bfloat16(BFloat16Matrix)

    /// Out features.
    var rows: Int {
        switch self {
        case .float32(let weight): weight.columns
        case .bfloat16(let weight): weight.rows
        }
    }

    /// In features.
    var columns: Int {
        switch self {
        case .float32(let weight): weight.rows
        case .bfloat16(let weight): weight.columns
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
        }
    }

    /// Writes one row as float32.
    func copyRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        switch self {
        case .float32(let weight): for i in 0..<weight.rows { target[i] = weight[i, row] }
        case .bfloat16(let weight): BFloat16.widen(weight.row(row), into: target, count: weight.columns)
        }
    }

    /// The rows in `range`.
    subscript(rows range: Range<Int>) -> FrozenWeight {
        switch self {
        case .float32(let weight): .float32(weight[columns: range])
        case .bfloat16(let weight): .bfloat16(weight[rows: range])
        }
    }

    /// The columns in `range`.
    subscript(columns range: Range<Int>) -> FrozenWeight {
        switch self {
        case .float32(let weight): .float32(weight[rows: range])
        case .bfloat16(let weight): .bfloat16(weight[columns: range])
        }
    }

    /// Reads some columns of rows of a stored tensor, one for each row.
    func read(_ tensor: StoredTensor, rows: ArraySlice<Int>, columns: Range<Int>) {
        switch self {
        case .float32(let weight): Self.readTransposed(tensor, rows, columns, into: weight)
        case .bfloat16(let weight):
            for (index, row) in rows.enumerated() { tensor.round(row: row, columns: columns, into: weight.row(index)) }
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

    /// Writes a number everywhere.
    func fill(_ value: Float) {
        switch self {
        case .float32(let weight): weight.fill(value)
        case .bfloat16(let weight):
            for row in 0..<rows { weight.row(row).update(repeating: BFloat16.bits(value), count: columns) }
        }
    }

    /// Writes one number.
    func set(_ row: Int, _ column: Int, _ value: Float) {
        switch self {
        case .float32(let weight): weight[column, row] = value
        case .bfloat16(let weight): weight.row(row)[column] = BFloat16.bits(value)
        }
    }
}
