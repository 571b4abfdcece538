/// A thread's memory for scores of training's attention: some rows of queries by some keys, so few that they stay in a
/// core's cache.
struct AttentionTile {
    /// Rows of queries that are worked on at a time.
    static let rows = 128
    /// Keys that are worked on at a time.
    static let keys = 512

    /// Scores and what becomes of them, [rows, keys]; and their gradient, on the way back.
    let p: Matrix
    let dP: Matrix
    /// Probabilities and the gradient of scores as operands.
    let rounded: (p: Operand, dP: Operand)
    /// Scores of rows with keys of their own, a column for each; what becomes of them takes their place.
    let own: Matrix
    let softmax: StreamingSoftmax

    /// A tile for each thread.
    ///
    /// Rows have room up to a multiple of sixteen, as vectors are whole.
    static func forThreads(
        _ segments: [Attention.Segment], ownCount: Int, isBackward: Bool = false, _ precision: MatrixPrecision,
        in workspace: Workspace
    ) -> [AttentionTile] {
        let (queries, keys) = (segments.map(\.queries.count).max() ?? 0, segments.map(\.keys.count).max() ?? 0)
        let (rows, width) = (min(queries, Self.rows), (min(keys, Self.keys) + 15) & ~15)
        return (0..<workspace.compute.threads).map { _ in
            let p = workspace.matrix(rows: rows, columns: width)
            let dP = workspace.matrix(rows: isBackward ? rows : 0, columns: width)
            return AttentionTile(
                p: p, dP: dP,
                rounded: (Operand(of: p, precision, in: workspace), Operand(of: dP, precision, in: workspace)),
                own: workspace.matrix(rows: rows, columns: (ownCount + 15) & ~15),
                softmax: StreamingSoftmax(rows: rows, in: workspace))
        }
    }

    /// Floats of all threads' tiles on the way back.
    static func floats(rows: Int, keys: Int, ownCount: Int, _ compute: Compute) -> Int {
        let (rows, width) = (min(rows, Self.rows), (min(keys, Self.keys) + 15) & ~15)
        let rounded = 2 * Operand.floats(rows: rows, columns: width, compute.precision)
        return compute.threads * (rows * (2 * width + (ownCount + 15) & ~15 + 2) + rounded)
    }
}
