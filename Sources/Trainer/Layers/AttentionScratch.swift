/// A thread's memory for a block of the target's attention.
struct AttentionScratch {
    /// Scaled queries and what they give, [rows, headDim].
    let queries: Matrix
    let output: Matrix
    /// [rows, keys of a block].
    let scores: Matrix
    /// Queries and exponentials of scores as operands.
    let rounded: (queries: Operand, scores: Operand)
    let softmax: StreamingSoftmax

    init(rows: Int, headDim: Int, keys: Int, _ precision: MatrixPrecision, in workspace: Workspace) {
        softmax = StreamingSoftmax(rows: rows, in: workspace)
        queries = workspace.matrix(rows: rows, columns: headDim)
        output = workspace.matrix(rows: rows, columns: headDim)
        scores = workspace.matrix(rows: rows, columns: keys)
        rounded = (
            Operand(of: queries, precision, in: workspace), Operand(of: scores, precision, in: workspace)
        )
    }

    private init(_ other: AttentionScratch, rows: Range<Int>) {
        (queries, output, scores) = (other.queries[rows: rows], other.output[rows: rows], other.scores[rows: rows])
        rounded = (other.rounded.queries[rows: rows], other.rounded.scores[rows: rows])
        softmax = other.softmax
    }

    /// The first rows.
    subscript(rows count: Int) -> AttentionScratch { AttentionScratch(self, rows: 0..<count) }
}
