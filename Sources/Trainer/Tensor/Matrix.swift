/// A row-major matrix of floats inside memory that a `Workspace`, a `ParameterStore` or a model owns.
///
/// Rows are tokens and columns are features wherever the matrix is an activation; a weight is
/// [out features, in features], as in checkpoints. A view like a pointer: copying it copies no elements.
struct Matrix: @unchecked Sendable {
    let start: UnsafeMutablePointer<Float>
    let rows: Int
    let columns: Int
    /// Elements between the starts of two rows: more than `columns` in a slice of columns.
    let stride: Int
    /// What computes with it.
    let compute: Compute

    init(start: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int? = nil, _ compute: Compute) {
        self.start = start
        self.compute = compute
        self.rows = rows
        self.columns = columns
        self.stride = stride ?? columns
    }

    subscript(row: Int, column: Int) -> Float {
        @inline(__always) get { start[row * stride + column] }
        @inline(__always) nonmutating set { start[row * stride + column] = newValue }
    }

    /// The first element of a row.
    @inline(__always) func row(_ row: Int) -> UnsafeMutablePointer<Float> { start + row * stride }

    /// The rows in `range`: one sequence of a batch, say.
    subscript(rows range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return Matrix(
            start: start + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride, compute)
    }

    /// The columns in `range`: one attention head of a projection, say.
    subscript(columns range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns)
        return Matrix(start: start + range.lowerBound, rows: rows, columns: range.count, stride: stride, compute)
    }

    /// Whether the rows follow each other without gaps.
    var isContiguous: Bool { stride == columns || rows <= 1 }

    var count: Int { rows * columns }

    func fill(_ value: Float) {
        compute.rows(rows, of: columns) { range in
            for row in range { self.row(row).update(repeating: value, count: columns) }
        }
    }

    /// Copies all elements of a matrix of the same shape.
    func copy(from other: Matrix) {
        precondition(rows == other.rows && columns == other.columns)
        compute.rows(rows, of: columns) { range in
            for row in range { self.row(row).update(from: other.row(row), count: columns) }
        }
    }

    /// Adds all elements of a matrix of the same shape.
    func add(_ other: Matrix) {
        precondition(rows == other.rows && columns == other.columns)
        compute.rows(rows, of: columns) { range in
            for row in range { Trainer.add(1, other.row(row), to: self.row(row), columns) }
        }
    }

    /// Copies rows `indices` of `other`, in that order, into this matrix.
    func gather(_ indices: [Int32], from other: Matrix) {
        precondition(rows == indices.count && columns == other.columns)
        compute.rows(rows, of: columns) { range in
            for row in range { self.row(row).update(from: other.row(Int(indices[row])), count: columns) }
        }
    }

    /// Copies this matrix's rows onto rows `indices` of `other`, which must all differ.
    func scatter(_ indices: [Int32], into other: Matrix) {
        precondition(rows == indices.count && columns == other.columns)
        compute.rows(rows, of: columns) { range in
            for row in range { other.row(Int(indices[row])).update(from: self.row(row), count: columns) }
        }
    }
}
