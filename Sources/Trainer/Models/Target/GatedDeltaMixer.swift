import Glibc

/// Qwen3.5's linear attention: this rank's heads of values, with the heads of keys that they have.
///
/// Queries, keys and values go through a short convolution with silu before the gated delta rule; what it gives is
/// normalised by head and multiplied by silu(z).
struct GatedDeltaMixer: RecurrentMixer {
    /// Queries, keys and values, which the convolution sees; z, b and a.
    let inputs: ColumnParallelLinear
    let convolution: CausalConvolution
    let rule: GatedDeltaRule
    /// The key head of each value head, counted within this rank's.
    let keyHead: [Int]
    let keyHeads: Int
    /// [1, heads of values] each: A's logarithm, and what is added to a.
    let logA: Matrix
    let bias: Matrix
    let norm: RMSNorm
    let output: RowParallelLinear

    private var valueHeads: Int { keyHead.count }
    var outputWidth: Int { valueHeads * rule.valueDim }
    private var historyCount: Int { convolution.reach * convolution.channels }
    var stateCount: Int { historyCount + valueHeads * rule.stateCount }

    func scan(_ inputs: Matrix, state: Matrix, into output: Matrix, in workspace: Workspace) {
        let channels = convolution.channels
        workspace.scope {
            let mixed = workspace.matrix(rows: inputs.rows, columns: channels)
            let history = state[columns: 0..<historyCount].reshaped(rows: convolution.reach)
            convolution.forward(inputs[columns: 0..<channels], history: history, into: mixed)
            let gates = inputs[columns: channels + outputWidth..<inputs.columns]
            let scratch = workspace.matrix(rows: workspace.compute.threads, columns: 2 * rule.keyDim)
            workspace.compute.forEach(valueHeads) { head, worker in
                scan(
                    head, mixed, gates, state.start + historyCount + head * rule.stateCount, output, scratch.row(worker)
                )
            }
        }
    }

    private func scan(
        _ head: Int, _ mixed: Matrix, _ gates: Matrix, _ state: UnsafeMutablePointer<Float>, _ output: Matrix,
        _ scratch: UnsafeMutablePointer<Float>
    ) {
        let (dk, dv, keyWidth) = (rule.keyDim, rule.valueDim, keyHeads * rule.keyDim)
        for row in 0..<mixed.rows {
            let x = mixed.row(row)
            rule.step(
                q: x + keyHead[head] * dk, k: x + keyWidth + keyHead[head] * dk, v: x + 2 * keyWidth + head * dv,
                decay: GatedDeltaRule.decay(gates[row, valueHeads + head], bias: bias[0, head], logA: logA[0, head]),
                beta: sigmoid(gates[row, head]), state: state, into: output.row(row) + head * dv, scratch: scratch)
        }
    }

    func finish(_ output: Matrix, _ inputs: Matrix, in workspace: Workspace) {
        for head in 0..<valueHeads {
            let columns = output[columns: head * rule.valueDim..<(head + 1) * rule.valueDim]
            norm.forward(columns, into: columns)
        }
        let z = inputs[columns: convolution.channels..<convolution.channels + outputWidth]
        output.multiply(bySiluOf: z)
    }
}

extension Matrix {
    /// Multiplies each element by silu of another matrix's.
    func multiply(bySiluOf gates: Matrix) {
        precondition(rows == gates.rows && columns == gates.columns)
        compute.rows(rows, of: columns) { range in
            for row in range {
                let (x, z) = (self.row(row), gates.row(row))
                for i in Swift.stride(from: 0, to: columns, by: 16) {
                    let gate = z.load(i, of: columns)
                    x.store(x.load(i, of: columns) * gate / (1 + exp(-gate)), i, of: columns)
                }
            }
        }
    }
}
