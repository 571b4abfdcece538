/// A frozen linear map whose output features are divided among the ranks: y_r = x W_rᵀ + b_r.
///
/// Every rank has the whole x and makes its own columns of y (Shoeybi et al. 2019, Megatron-LM).
struct ColumnParallelLinear {
    /// This rank's output features: [out features of the rank, in features].
    let weight: FrozenWeight
    /// [1, out features of the rank].
    let bias: Matrix?

    func forward(_ x: Matrix, into y: Matrix) {
        if let bias {
            for row in 0..<y.rows { y.row(row).update(from: bias.start, count: y.columns) }
        }
        weight.apply(x, into: y, accumulate: bias != nil)
    }
}
