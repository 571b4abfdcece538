import Shared

/// An operand of matrix products on the calling thread: of float32, or rounded to bfloat16.
enum Operand {
    case float32(Matrix)
    case bfloat16(BFloat16Matrix)

    /// The operand of a matrix that changes: the matrix itself, or memory of the workspace that `round` fills.
    init(of matrix: Matrix, _ precision: MatrixPrecision, in workspace: Workspace) {
        self =
            switch precision {
            case .float32: .float32(matrix)
            case .bfloat16: .bfloat16(workspace.bfloat16(rows: matrix.rows, columns: matrix.columns))
            }
    }

    /// A matrix as it is now: itself, or rounded by all threads into memory of the workspace.
    init(_ matrix: Matrix, _ precision: MatrixPrecision, in workspace: Workspace) {
        self.init(of: matrix, precision, in: workspace)
        if case .bfloat16(let rounded) = self { rounded.round(matrix) }
    }

    /// Floats of the workspace that the operand of that many rows takes, beside the matrix.
    static func floats(rows: Int, columns: Int, _ precision: MatrixPrecision) -> Int {
        precision == .float32 ? 0 : rows * BFloat16Matrix.stride(columns: columns) / 2
    }

    subscript(rows range: Range<Int>) -> Operand {
        switch self {
        case .float32(let matrix): .float32(matrix[rows: range])
        case .bfloat16(let matrix): .bfloat16(matrix[rows: range])
        }
    }

    subscript(columns range: Range<Int>) -> Operand {
        switch self {
        case .float32(let matrix): .float32(matrix[columns: range])
        case .bfloat16(let matrix): .bfloat16(matrix[columns: range])
        }
    }

    /// Takes over the first `count` elements of a row of the matrix whose operand it is.
    @inline(__always) func round(_ row: Int, of matrix: Matrix, _ count: Int) {
        if case .bfloat16(let rounded) = self {
            BFloat16.round(matrix.row(row), into: rounded.row(row), count: count)
        }
    }

    /// Takes over all of the matrix whose operand it is.
    func round(_ matrix: Matrix) {
        for row in 0..<matrix.rows { round(row, of: matrix, matrix.columns) }
    }
}

extension BLAS {
    /// c = scale op(a) op(b), or c += scale op(a) op(b), of operands of one precision.
    static func product(
        _ a: Operand, transposed isATransposed: Bool, _ b: Operand, transposed isBTransposed: Bool,
        into c: Matrix, scale: Float = 1, accumulate: Bool = false
    ) {
        switch (a, b) {
        case (.float32(let a), .float32(let b)):
            product(
                a, transposed: isATransposed, b, transposed: isBTransposed, into: c, scale: scale,
                accumulate: accumulate)
        case (.bfloat16(let a), .bfloat16(let b)):
            product(
                a, transposed: isATransposed, b, transposed: isBTransposed, into: c, scale: scale,
                accumulate: accumulate)
        default: preconditionFailure("operands of two precisions")
        }
    }
}
