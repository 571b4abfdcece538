/// Root-mean-square normalization: y = x r w, where r = 1/√(mean(x²) + ε) for each row.
///
/// Backward, with x̂ = x r and g = dy w:
///
///     dw += Σ_rows dy x̂
///     dx  = r (g − x̂ mean(g x̂))
///
/// (Zhang and Sennrich 2019; transformers' `LlamaRMSNorm`.) The rows' r are recomputed in `backward`, from the
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

    /// y = norm(x) of each head of a row by itself.
    ///
    /// x: [rows, heads · features], in place.
    func forward(heads x: Matrix) {
        let size = weight.weight.columns
        precondition(x.columns.isMultiple(of: size))
        let w = weight.weight.start
        x.compute.ranges(x.rows, atLeast: 16) { range in
            for row in range {
                for head in stride(from: 0, to: x.columns, by: size) {
                    let values = x.row(row) + head
                    let r = Vector(repeating: reciprocal(values, size))
                    for i in stride(from: 0, to: size, by: 16) {
                        values.store(values.load(i, of: size) * r * w.load(i, of: size), i, of: size)
                    }
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
            addWeightGradient(dy, x, r, in: workspace)
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

    /// Rows that are summed by themselves first: as many for any number of threads, on which so no sum depends.
    private static let summedRows = 64

    private func addWeightGradient(_ dy: Matrix, _ x: Matrix, _ r: Matrix, in workspace: Workspace) {
        guard weight.gradient.rows == 1 else { return }
        let (dw, n) = (weight.gradient.start, x.columns)
        let parts = workspace.matrix(rows: (x.rows + Self.summedRows - 1) / Self.summedRows, columns: n)
        x.compute.forEach(parts.rows) { part, _ in
            let sums = parts.row(part)
            sums.update(repeating: 0, count: n)
            for row in part * Self.summedRows..<min(x.rows, (part + 1) * Self.summedRows) {
                let (gradient, input, scale) = (dy.row(row), x.row(row), Vector(repeating: r[0, row]))
                for i in stride(from: 0, to: n, by: 16) {
                    let product = input.load(i, of: n) * scale
                    sums.store(sums.load(i, of: n).addingProduct(gradient.load(i, of: n), product), i, of: n)
                }
            }
        }
        x.compute.ranges((n + 15) / 16, atLeast: 1 + 1024 / max(1, parts.rows)) { blocks in
            for i in stride(from: blocks.lowerBound * 16, to: blocks.upperBound * 16, by: 16) {
                var sum = dw.load(i, of: n)
                for part in 0..<parts.rows { sum += parts.row(part).load(i, of: n) }
                dw.store(sum, i, of: n)
            }
        }
    }

    /// r = 1/√(mean(x²) + ε) of one row.
    @inline(__always) private func reciprocal(_ x: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
        1 / (dot(x, x, count) / Float(count) + epsilon).squareRoot()
    }
}
