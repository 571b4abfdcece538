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

    /// The rows in `range`.
    subscript(rows range: Range<Int>) -> FrozenWeight {
        switch self {
        case .float32(let weight): .float32(weight[rows: range])
        case .bfloat16(let weight): .bfloat16(weight[rows: range])
        }
    }

    /// Reads some columns of a row of a stored tensor into a row.
    func read(_ tensor: StoredTensor, row: Int, columns: Range<Int>, at index: Int) {
        switch self {
        case .float32(let weight): tensor.widen(row: row, columns: columns, into: weight.row(index))
        case .bfloat16(let weight): tensor.round(row: row, columns: columns, into: weight.row(index))
        }
    }

    /// Writes a number everywhere.
    func fill(_ value: Float) {
        for row in 0..<rows {
            switch self {
            case .float32(let weight): weight.row(row).update(repeating: value, count: columns)
            case .bfloat16(let weight): weight.row(row).update(repeating: BFloat16.bits(value), count: columns)
            }
        }
    }

    /// Writes one number.
    func set(_ row: Int, _ column: Int, _ value: Float) {
        switch self {
        case .float32(let weight): weight[row, column] = value
        case .bfloat16(let weight): weight.row(row)[column] = BFloat16.bits(value)
        }
    }
}
