/// Root-mean-square normalization: y = x r w, where r = 1/√(mean(x²) + ε) for each row.
///
/// Backward, with x̂ = x r and g = dy w:
///
///     dw += Σ_rows dy x̂
///     dx  = r (g − x̂ mean(g x̂))
///
/// (Zhang and Sennrich 2019; transformers' `LlamaRMSNorm`.) The rows' r are computed anew in `backward`, from the
/// input that the caller kept.
struct RMSNorm {
    /// [1, features].
    let weight: Parameter
    let epsilon: Float

    /// y = norm(x).
    ///
    /// x, y: [rows, features]; y may be x.
    func forward(_ x: Matrix, into y: Matrix) {
        precondition(x.rows == y.rows && x.columns == weight.weight.columns && y.columns == x.columns)
        let w = weight.weight.start
        x.compute.ranges(x.rows, atLeast: 16) { range in
            for row in range {
                let (input, output) = (x.row(row), y.row(row))
                let r = Vector(repeating: reciprocal(input, x.columns))
                for i in stride(from: 0, to: x.columns, by: 16) {
                    output.store(input.load(i, of: x.columns) * r * w.load(i, of: x.columns), i, of: x.columns)
                }
            }
        }
    }

    /// Adds to the weight's gradient, and writes the gradient of x into `dx`, or adds it.
    ///
    /// - Parameters:
    ///   - dy: The gradient of y, [rows, features].
    ///   - x: What `forward` was given.
    ///   - dx: May be `dy` unless it accumulates; nil if nobody needs it.
    func backward(_ dy: Matrix, x: Matrix, into dx: Matrix?, accumulate: Bool = false, in workspace: Workspace) {
        precondition(dy.rows == x.rows && dy.columns == x.columns)
        let (w, n) = (weight.weight.start, x.columns)
        workspace.scope {
            let r = workspace.matrix(rows: 1, columns: x.rows)
            x.compute.ranges(x.rows, atLeast: 16) { range in
                for row in range { r[0, row] = reciprocal(x.row(row), n) }
            }
            addWeightGradient(dy, x, r)
            guard let dx else { return }
            precondition(dx.rows == x.rows && dx.columns == x.columns)
            x.compute.ranges(x.rows, atLeast: 16) { range in
                for row in range {
                    let (input, gradient, output) = (x.row(row), dy.row(row), dx.row(row))
                    let scale = Vector(repeating: r[0, row])
                    var sum = Vector.zero
                    for i in stride(from: 0, to: n, by: 16) {
                        sum.addProduct(gradient.load(i, of: n) * w.load(i, of: n), input.load(i, of: n) * scale)
                    }
                    let mean = Vector(repeating: sum.total / Float(n))
                    for i in stride(from: 0, to: n, by: 16) {
                        let normalized = input.load(i, of: n) * scale
                        let value = scale * (gradient.load(i, of: n) * w.load(i, of: n) - normalized * mean)
                        output.store(accumulate ? output.load(i, of: n) + value : value, i, of: n)
                    }
                }
            }
        }
    }

    /// Each column is summed over the rows in order, so the sum doesn't depend on the number of threads.
    private func addWeightGradient(_ dy: Matrix, _ x: Matrix, _ r: Matrix) {
        guard weight.gradient.rows == 1 else { return }
        let (dw, n) = (weight.gradient.start, x.columns)
        x.compute.ranges((n + 15) / 16, atLeast: 4) { blocks in
            for i in stride(from: blocks.lowerBound * 16, to: blocks.upperBound * 16, by: 16) {
                var sum = Vector.zero
                for row in 0..<x.rows {
                    sum.addProduct(dy.row(row).load(i, of: n), x.row(row).load(i, of: n) * r[0, row])
                }
                dw.store(dw.load(i, of: n) + sum, i, of: n)
            }
        }
    }

    /// r = 1/√(mean(x²) + ε) of one row.
    @inline(__always) private func reciprocal(_ x: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
        1 / (dot(x, x, count) / Float(count) + epsilon).squareRoot()
    }
}
