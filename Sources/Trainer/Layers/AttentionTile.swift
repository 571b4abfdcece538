/// A thread's memory for scores of training's attention: some rows of queries by some keys, so few that they stay in a
/// core's cache.
struct AttentionTile {
    /// Rows of queries that are worked on at a time.
    static let rows = 128
    /// Keys that are worked on at a time.
    static let keys = 512

    /// Scores and what becomes of them, [rows, keys]; and their gradient, in the backward pass.
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

    /// Floats of all threads' tiles in the backward pass.
    static func floats(rows: Int, keys: Int, ownCount: Int, _ compute: Compute) -> Int {
        let (rows, width) = (min(rows, Self.rows), (min(keys, Self.keys) + 15) & ~15)
        let rounded = 2 * Operand.floats(rows: rows, columns: width, compute.precision)
        return compute.threads * (rows * (2 * width + (ownCount + 15) & ~15 + 2) + rounded)
    }
}

/// Keys and values of attention, in float32 as they are or rounded to bfloat16 once for all blocks that read them.
struct AttentionOperands {
    let keys: Operand
    let values: Operand

    init(_ keyValue: Attention.KeyValue, _ precision: MatrixPrecision, in workspace: Workspace) {
        keys = Operand(keyValue.keys, precision, in: workspace)
        values = Operand(keyValue.values, precision, in: workspace)
    }

    /// Of some rows and one head.
    subscript(rows: Range<Int>, columns: Range<Int>) -> (keys: Operand, values: Operand) {
        (keys[rows: rows][columns: columns], values[rows: rows][columns: columns])
    }
}

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

/// The keys of the past that a row may see.
enum AttentionSpan: Hashable, Sendable {
    /// All of them.
    case full
    /// The newest ones, the row's own among them (Mistral).
    case sliding(Int)
    /// Those of the row's own chunk; chunks follow each other from the sequence's beginning (Llama 4).
    case chunked(Int)

    /// The first key that a row sees, if it would see `visible` of them in full.
    @inline(__always) func first(of visible: Int) -> Int {
        switch self {
        case .full: 0
        case .sliding(let size): max(0, visible - size)
        case .chunked(let size): (visible - 1) / size * size
        }
    }
}
