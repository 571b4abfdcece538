/// How fast this machine multiplies matrices, by the program's own products: what a training step is held against.
///
/// The three products of a linear map y = x Wᵀ: itself, the gradient of W and that of x. In bfloat16 their operands are
/// rounded beforehand.
struct ProductRate {
    let size: ProductSize
    private let operands: (x: Operand, weight: Operand, dy: Operand)
    private let results: (y: Matrix, dWeight: Matrix, dx: Matrix)
    /// Owns the matrices.
    private let workspace: Workspace
    /// Seconds of each of the three, all runs together.
    private var seconds = [0.0, 0.0, 0.0]
    private var runs = 0.0

    private struct Operand {
        let matrix: Matrix
        let rounded: BFloat16Matrix?

        init(rows: Int, columns: Int, in workspace: Workspace) {
            matrix = workspace.matrix(rows: rows, columns: columns)
            for row in 0..<rows {
                for column in 0..<columns { matrix[row, column] = Float((row * 31 + column * 17) % 61 - 30) / 64 }
            }
            rounded = workspace.compute.precision == .bfloat16 ? workspace.bfloat16(rows: rows, columns: columns) : nil
            rounded?.round(matrix)
        }
    }

    /// Runs each of the three once without counting it.
    init(_ size: ProductSize, _ compute: Compute) {
        self.size = size
        workspace = Workspace(compute)
        operands = (
            Operand(rows: size.rows, columns: size.inputs, in: workspace),
            Operand(rows: size.outputs, columns: size.inputs, in: workspace),
            Operand(rows: size.rows, columns: size.outputs, in: workspace)
        )
        results = (
            workspace.zeros(rows: size.rows, columns: size.outputs),
            workspace.zeros(rows: size.outputs, columns: size.inputs),
            workspace.zeros(rows: size.rows, columns: size.inputs)
        )
        run()
        (seconds, runs) = ([0, 0, 0], 0)
    }

    /// FLOP a second of the fastest of the three, over all runs.
    var rate: Double { size.operations * runs / (seconds.min() ?? 1) }

    /// Runs each of the three once more.
    mutating func run() {
        let (x, weight, dy) = operands
        runs += 1
        add(0, x, false, weight, true, into: results.y)
        add(1, dy, true, x, false, into: results.dWeight)
        add(2, dy, false, weight, false, into: results.dx)
    }

    private mutating func add(
        _ index: Int, _ a: Operand, _ isATransposed: Bool, _ b: Operand, _ isBTransposed: Bool, into c: Matrix
    ) {
        let start = ContinuousClock.now
        if let first = a.rounded, let second = b.rounded {
            multiply(
                first, transposed: isATransposed, second, transposed: isBTransposed, into: c, accumulate: false)
        } else {
            multiply(
                a.matrix, transposed: isATransposed, b.matrix, transposed: isBTransposed, into: c, accumulate: false)
        }
        seconds[index] += (ContinuousClock.now - start).seconds
    }
}
