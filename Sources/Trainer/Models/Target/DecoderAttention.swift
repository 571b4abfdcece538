/// A decoder layer's attention: this rank's heads.
struct DecoderAttention {
    /// Queries, keys, values and gates of this rank's heads, below each other; queries and gates alone where keys and
    /// values are another layer's.
    let qkv: ColumnParallelLinear
    let output: RowParallelLinear
    let heads: HeadAttention
    /// Whether what heads give is multiplied by the logistic function of a gate.
    let hasGate: Bool

    /// y += this rank's part of attention of x.
    func addPart(_ x: Matrix, to y: Matrix, _ pass: DecoderPass, layer: Int, in workspace: Workspace) {
        workspace.scope {
            let joined = workspace.matrix(rows: x.rows, columns: qkv.weight.rows)
            qkv.forward(x, into: joined)
            let attended = workspace.matrix(rows: x.rows, columns: heads.width)
            heads.forward(joined, pass, layer: layer, into: attended, in: workspace)
            if hasGate {
                attended.multiply(bySigmoidOf: joined[columns: joined.columns - heads.width..<joined.columns])
            }
            output.addPart(attended, to: y)
        }
    }
}

extension Matrix {
    /// Multiplies each element by the logistic function of another matrix's.
    func multiply(bySigmoidOf gates: Matrix) {
        precondition(rows == gates.rows && columns == gates.columns)
        compute.rows(rows, of: columns) { range in
            for row in range {
                let (x, g) = (self.row(row), gates.row(row))
                for i in Swift.stride(from: 0, to: columns, by: 16) {
                    x.store(x.load(i, of: columns) / (1 + exp(-g.load(i, of: columns))), i, of: columns)
                }
            }
        }
    }
}
