/// A frozen linear map whose input features are divided among the ranks: y = Σ_r x_r W_rᵀ + b.
///
/// Every rank makes a part of the whole y from its own columns of x; the sum over the ranks is the result. Rank 0's
/// part begins with the bias and the residual, so that they count once.
struct RowParallelLinear {
    /// [out features, in features of the rank].
    let weight: FrozenWeight
    /// [1, out features], on every rank; only rank 0 adds it.
    let bias: Matrix?
    let communicator: any Communicator

    /// y += x Wᵀ + b, where y is the same on all ranks before and after.
    func forward(_ x: Matrix, addingTo y: Matrix) throws(CommunicationError) {
        if communicator.rank > 0 {
            y.fill(0)
        } else if let bias {
            for row in 0..<y.rows { add(1, bias.start, to: y.row(row), y.columns) }
        }
        weight.apply(x, into: y, accumulate: true)
        try communicator.allReduceSum(y)
    }
}
