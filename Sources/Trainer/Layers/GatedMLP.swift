/// A frozen gated feed-forward network, or one expert of a mixture: y = down(activation(gate x, up x)).
///
/// Its intermediate features are divided among the ranks.
struct GatedMLP {
    /// Gate and up of this rank's intermediate features, below each other; up alone where there is no gate.
    let gateUp: ColumnParallelLinear
    let down: RowParallelLinear
    let gate: GatedActivation.Gate

    /// y += this rank's part of the result.
    func addPart(_ x: Matrix, to y: Matrix, in workspace: Workspace) {
        guard x.rows > 0 else { return }
        workspace.scope {
            let both = workspace.matrix(rows: x.rows, columns: gateUp.weight.rows)
            gateUp.forward(x, into: both)
            let activation = workspace.matrix(rows: x.rows, columns: down.weight.columns)
            GatedActivation.forward(both, into: activation, gate)
            down.addPart(activation, to: y)
        }
    }
}
