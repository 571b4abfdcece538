// Frozen linear maps and embeddings that the ranks of a tensor-parallel group hold parts of (Shoeybi et al. 2019,
// Megatron-LM).

/// A frozen linear map whose output features are divided among the ranks: y_r = x W_rᵀ + b_r.
///
/// Every rank has the whole x and makes its own columns of y.
struct ColumnParallelLinear {
    /// This rank's output features: [out features of the rank, in features].
    let weight: FrozenWeight
    /// [1, out features of the rank].
    let bias: Matrix?

    func forward(_ x: Matrix, into y: Matrix) {
        if let bias {
            y.compute.rows(y.rows, of: y.columns) { range in
                for row in range { y.row(row).update(from: bias.start, count: y.columns) }
            }
        }
        weight.apply(x, into: y, accumulate: bias != nil)
    }
}

/// A frozen linear map whose input features are divided among the ranks: y = Σ_r x_r W_rᵀ + b.
///
/// Every rank makes a part of the whole y from its own columns of x; the sum over the ranks is the result.
/// The caller sums, once for all that is added to the same y.
struct RowParallelLinear {
    /// [out features, in features of the rank].
    let weight: FrozenWeight
    /// [1, out features], on the one rank that adds it.
    let bias: Matrix?

    /// y += this rank's part of x Wᵀ + b.
    func addPart(_ x: Matrix, to y: Matrix) {
        weight.apply(x, into: y, accumulate: true)
        guard let bias else { return }
        y.compute.rows(y.rows, of: y.columns) { range in
            for row in range { add(1, bias.start, to: y.row(row), y.columns) }
        }
    }
}

/// An embedding whose vocabulary is divided among the ranks.
struct VocabParallelEmbedding {
    /// The ids that this rank holds.
    let vocabulary: Range<Int>
    /// [ids of the rank, features].
    let weight: FrozenWeight
    let communicator: any Communicator

    /// Writes the embedding of each id: [ids, features], the same on all ranks.
    func forward(_ ids: [Int32], into y: Matrix) {
        precondition(y.rows == ids.count && y.columns == weight.columns)
        // A row of a float32 weight is a column in memory: each number is a cache line of its own.
        y.compute.ranges(ids.count, atLeast: 4) { range in
            for row in range {
                let id = Int(ids[row])
                if vocabulary.contains(id) {
                    weight.copyRow(id - vocabulary.lowerBound, into: y.row(row))
                } else {
                    y.row(row).update(repeating: 0, count: y.columns)
                }
            }
        }
        communicator.allReduceSum(y)
    }
}
