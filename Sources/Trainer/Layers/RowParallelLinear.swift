/// A frozen linear map whose input features are divided among the ranks: y = Σ_r x_r W_rᵀ + b.
///
/// Every rank makes a part of the whole y from its own columns of x; the sum over the ranks is the result
/// (Shoeybi et al. 2019, Megatron-LM). Whoever calls sums, once for all that is added to the same y.
struct RowParallelLinear {
    /// [out features, in features of the rank].
    let weight: FrozenWeight
    /// [1, out features], on the one rank that adds it.
    let bias: Matrix?

    /// y += this rank's part of x Wᵀ + b.
    func addPart(_ x: Matrix, to y: Matrix) {
        weight.apply(x, into: y, accumulate: true)
        guard let bias else { return }
        for row in 0..<y.rows { add(1, bias.start, to: y.row(row), y.columns) }
    }
}
