/// The norm of a frozen model's rows, of one kind or the other.
enum FrozenNorm {
    case rms(RMSNorm)
    case layer(LayerNorm)

    /// y = norm(x); y may be x.
    func forward(_ x: Matrix, into y: Matrix) {
        switch self {
        case .rms(let norm): norm.forward(x, into: y)
        case .layer(let norm): norm.forward(x, into: y)
        }
    }

    /// [1, features].
    var weight: Matrix {
        switch self {
        case .rms(let norm): norm.weight.weight
        case .layer(let norm): norm.weight
        }
    }
}

/// Layer normalization without bias, forward only: y = (x − mean(x)) / √(var(x) + ε) · w for each row.
///
/// (Ba and others 2016; Cohere's models.)
struct LayerNorm {
    /// [1, features].
    let weight: Matrix
    let epsilon: Float

    /// x, y: [rows, features]; y may be x.
    func forward(_ x: Matrix, into y: Matrix) {
        precondition(x.rows == y.rows && x.columns == weight.columns && y.columns == x.columns)
        let n = x.columns
        x.compute.ranges(x.rows, atLeast: 16) { range in
            for row in range {
                let (input, output) = (x.row(row), y.row(row))
                var sum = Vector.zero
                for i in stride(from: 0, to: n, by: 16) { sum += input.load(i, of: n) }
                let mean = Vector(repeating: sum.total / Float(n))
                var squares: Float = 0
                for i in 0..<n { squares += (input[i] - mean[0]) * (input[i] - mean[0]) }
                let r = Vector(repeating: 1 / (squares / Float(n) + epsilon).squareRoot())
                for i in stride(from: 0, to: n, by: 16) {
                    output.store((input.load(i, of: n) - mean) * r * weight.start.load(i, of: n), i, of: n)
                }
            }
        }
    }
}
