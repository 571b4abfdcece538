import Shared

/// A weight that isn't trained, [out features, in features]: float32, or bfloat16 at half the memory.
enum FrozenWeight {
    case float32(Matrix)
    case bfloat16(BFloat16Matrix)

    var rows: Int {
        switch self {
        case .float32(let weight): weight.rows
        case .bfloat16(let weight): weight.rows
        }
    }

    var columns: Int {
        switch self {
        case .float32(let weight): weight.columns
        case .bfloat16(let weight): weight.columns
        }
    }

    /// y = x Wᵀ, or y += x Wᵀ.
    ///
    /// x: [rows, in features], y: [rows, out features].
    func apply(_ x: Matrix, into y: Matrix, accumulate: Bool = false) {
        switch self {
        case .float32(let weight): multiply(x, transposed: weight, into: y, accumulate: accumulate)
        case .bfloat16(let weight): multiply(x, transposed: weight, into: y, accumulate: accumulate)
        }
    }

    /// Writes one row as float32.
    func copyRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
        switch self {
        case .float32(let weight): target.update(from: weight.row(row), count: weight.columns)
        case .bfloat16(let weight): BFloat16.widen(weight.row(row), into: target, count: weight.columns)
        }
    }

    /// Reads `rows` and `columns` of a stored tensor into the rows from `first` on.
    func read(
        _ tensor: StoredTensor, rows: Range<Int>, columns: Range<Int>, at first: Int = 0
    ) throws(WeightsError) {
        switch self {
        case .float32(let weight):
            try tensor.copy(rows: rows, columns: columns, into: weight.row(first), stride: weight.stride)
        case .bfloat16(let weight):
            try tensor.copy(rows: rows, columns: columns, into: weight.row(first), stride: weight.stride)
        }
    }
}
