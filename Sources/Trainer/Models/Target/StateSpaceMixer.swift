import Glibc

/// Mamba-2: this rank's heads, with the groups that they belong to.
///
/// x, B and C go through a short convolution with silu before the state space; what it gives is multiplied by silu(z)
/// and normalised by group.
struct StateSpaceMixer: RecurrentMixer {
    /// x, B and C, which the convolution sees; z and dt.
    let inputs: ColumnParallelLinear
    let convolution: CausalConvolution
    let space: StateSpace
    /// The group of each head, counted within this rank's.
    let group: [Int]
    let groups: Int
    /// Within which Δ is held.
    let deltas: ClosedRange<Float>
    /// [1, heads] each: A's logarithm, D, and what is added to dt.
    let logA: Matrix
    let skip: Matrix
    let bias: Matrix
    let norm: DividedRMSNorm
    let output: RowParallelLinear

    private var heads: Int { group.count }
    var outputWidth: Int { heads * space.headDim }
    private var historyCount: Int { convolution.reach * convolution.channels }
    var stateCount: Int { historyCount + heads * space.stateCount }

    func scan(_ inputs: Matrix, state: Matrix, into output: Matrix, in workspace: Workspace) {
        let channels = convolution.channels
        workspace.scope {
            let mixed = workspace.matrix(rows: inputs.rows, columns: channels)
            let history = state[columns: 0..<historyCount].reshaped(rows: convolution.reach)
            convolution.forward(inputs[columns: 0..<channels], history: history, into: mixed)
            let steps = inputs[columns: channels + outputWidth..<inputs.columns]
            workspace.compute.forEach(heads) { head, _ in
                scan(head, mixed, steps, state.start + historyCount + head * space.stateCount, output)
            }
        }
    }

    private func scan(
        _ head: Int, _ mixed: Matrix, _ steps: Matrix, _ state: UnsafeMutablePointer<Float>, _ output: Matrix
    ) {
        let (n, a) = (space.stateSize, -expf(logA[0, head]))
        for row in 0..<mixed.rows {
            let x = mixed.row(row)
            let delta = min(max(softplus(steps[row, head] + bias[0, head]), deltas.lowerBound), deltas.upperBound)
            let b = x + outputWidth + group[head] * n
            space.step(
                x: x + head * space.headDim, b: b, c: b + groups * n, delta: delta, decay: expf(delta * a),
                skip: skip[0, head], state: state, into: output.row(row) + head * space.headDim)
        }
    }

    func finish(_ output: Matrix, _ inputs: Matrix, in workspace: Workspace) {
        output.multiply(bySiluOf: inputs[columns: convolution.channels..<convolution.channels + outputWidth])
        norm.apply(output, in: workspace)
    }
}
