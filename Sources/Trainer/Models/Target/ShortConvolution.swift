/// LFM2's short convolution: this rank's channels of it.
///
///     y = W_out (c ⊙ conv(b ⊙ x)),  b, c and x three maps of the row
struct ShortConvolution: RecurrentMixer {
    /// b, c and x, below each other.
    let inputs: ColumnParallelLinear
    let convolution: CausalConvolution
    let output: RowParallelLinear

    var outputWidth: Int { convolution.channels }
    var stateCount: Int { convolution.reach * convolution.channels }

    func scan(_ inputs: Matrix, state: Matrix, into output: Matrix, in workspace: Workspace) {
        let n = convolution.channels
        workspace.scope {
            let gated = workspace.matrix(rows: inputs.rows, columns: n)
            gated.copy(from: inputs[columns: 0..<n])
            gated.multiply(by: inputs[columns: 2 * n..<3 * n])
            convolution.forward(gated, history: state.reshaped(rows: convolution.reach), into: output)
        }
    }

    func finish(_ output: Matrix, _ inputs: Matrix, in workspace: Workspace) {
        let n = convolution.channels
        output.multiply(by: inputs[columns: n..<2 * n])
    }
}

extension Matrix {
    /// Multiplies each element by another matrix's.
    func multiply(by other: Matrix) {
        precondition(rows == other.rows && columns == other.columns)
        compute.rows(rows, of: columns) { range in
            for row in range {
                let (x, y) = (self.row(row), other.row(row))
                for i in Swift.stride(from: 0, to: columns, by: 16) {
                    x.store(x.load(i, of: columns) * y.load(i, of: columns), i, of: columns)
                }
            }
        }
    }

    /// The same elements as a matrix of another number of rows, if it has no gaps.
    func reshaped(rows: Int) -> Matrix {
        precondition(isContiguous && rows > 0 && count.isMultiple(of: rows))
        return Matrix(start: start, rows: rows, columns: count / rows, compute)
    }
}
