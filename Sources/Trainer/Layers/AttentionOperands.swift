import Shared

/// Keys and values of attention, in float32 as they are or rounded to bfloat16 once for all blocks that read them.
struct AttentionOperands {
    private let keyValue: Attention.KeyValue
    private let rounded: (keys: BFloat16Matrix, values: BFloat16Matrix)?

    init(_ keyValue: Attention.KeyValue, _ precision: MatrixPrecision, in workspace: Workspace) {
        self.keyValue = keyValue
        guard precision == .bfloat16 else {
            rounded = nil
            return
        }
        rounded = (
            workspace.bfloat16(rows: keyValue.keys.rows, columns: keyValue.keys.columns),
            workspace.bfloat16(rows: keyValue.values.rows, columns: keyValue.values.columns)
        )
        rounded?.keys.round(keyValue.keys)
        rounded?.values.round(keyValue.values)
    }

    /// scores = queries keysᵀ, on the calling thread.
    func scores(_ block: AttentionScratch, keys: Range<Int>, columns: Range<Int>, into scores: Matrix) {
        guard let rounded, let queries = block.rounded?.queries else {
            return BLAS.product(block.queries, transposed: keyValue.keys[rows: keys][columns: columns], into: scores)
        }
        BLAS.product(
            queries, transposed: false, rounded.keys[rows: keys][columns: columns], transposed: true,
            into: scores, accumulate: false)
    }

    /// output += scores values, on the calling thread.
    func addValues(_ scores: Matrix, _ block: AttentionScratch, keys: Range<Int>, columns: Range<Int>) {
        guard let rounded, let all = block.rounded?.scores else {
            let values = keyValue.values[rows: keys][columns: columns]
            return BLAS.product(scores, values, into: block.output, accumulate: true)
        }
        let weights = all[columns: 0..<scores.columns]
        for row in 0..<scores.rows { BFloat16.round(scores.row(row), into: weights.row(row), count: scores.columns) }
        BLAS.product(
            weights, transposed: false, rounded.values[rows: keys][columns: columns], transposed: false,
            into: block.output, accumulate: true)
    }
}

/// A thread's memory for a block of attention's rows.
struct AttentionScratch {
    /// Scaled queries and what they give, [rows, headDim].
    let queries: Matrix
    let output: Matrix
    /// [rows, keys of a block].
    let scores: Matrix
    /// Queries and exponentials as operands, where products are of bfloat16.
    let rounded: (queries: BFloat16Matrix, scores: BFloat16Matrix)?
    let softmax: StreamingSoftmax

    init(rows: Int, headDim: Int, keys: Int, _ precision: MatrixPrecision, in workspace: Workspace) {
        softmax = StreamingSoftmax(rows: rows, in: workspace)
        queries = workspace.matrix(rows: rows, columns: headDim)
        output = workspace.matrix(rows: rows, columns: headDim)
        scores = workspace.matrix(rows: rows, columns: keys)
        rounded =
            precision == .bfloat16
            ? (workspace.bfloat16(rows: rows, columns: headDim), workspace.bfloat16(rows: rows, columns: keys)) : nil
    }

    private init(_ other: AttentionScratch, rows: Range<Int>) {
        (queries, output, scores) = (other.queries[rows: rows], other.output[rows: rows], other.scores[rows: rows])
        rounded = other.rounded.map { ($0.queries[rows: rows], $0.scores[rows: rows]) }
        softmax = other.softmax
    }

    /// The first rows.
    subscript(rows count: Int) -> AttentionScratch { AttentionScratch(self, rows: 0..<count) }

    /// Makes operands of the queries.
    func roundQueries() {
        guard let rounded else { return }
        for row in 0..<queries.rows {
            BFloat16.round(queries.row(row), into: rounded.queries.row(row), count: queries.columns)
        }
    }
}
