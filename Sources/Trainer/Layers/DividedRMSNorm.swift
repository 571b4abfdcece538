/// Root-mean-square normalization of features that several ranks have parts of, each group of them by itself.
///
///     y = x w / √(Σ_ranks Σ x² / n + ε), the sums over a group of n features
///
/// Queries and keys over all heads (OLMo) and the output of Mamba-2, whose groups span heads. Ranks exchange one sum for
/// each row and group; where a feature is on several of them, one counts it.
struct DividedRMSNorm {
    /// Neighbouring columns of one group.
    struct Piece {
        let columns: Range<Int>
        let group: Int
        /// Whether this rank's sum has them.
        let isCounted: Bool
    }

    let pieces: [Piece]
    /// Features of each group, over all ranks.
    let groupSizes: [Int]
    /// [1, columns]: this rank's.
    let weight: Matrix
    let epsilon: Float
    let communicator: any Communicator

    /// x becomes its norm.
    func apply(_ x: Matrix, in workspace: Workspace) {
        workspace.scope {
            let sums = workspace.zeros(rows: x.rows, columns: groupSizes.count)
            for row in 0..<x.rows {
                for piece in pieces where piece.isCounted {
                    let part = x.row(row) + piece.columns.lowerBound
                    sums[row, piece.group] += dot(part, part, piece.columns.count)
                }
            }
            if communicator.size > 1 { communicator.allReduceSum(sums) }
            x.compute.ranges(x.rows, atLeast: 16) { range in
                for row in range {
                    for piece in pieces {
                        let mean = sums[row, piece.group] / Float(groupSizes[piece.group])
                        let r = Vector(repeating: 1 / (mean + epsilon).squareRoot())
                        let (part, w) = (x.row(row) + piece.columns.lowerBound, weight.start + piece.columns.lowerBound)
                        let n = piece.columns.count
                        for i in stride(from: 0, to: n, by: 16) {
                            part.store(part.load(i, of: n) * r * w.load(i, of: n), i, of: n)
                        }
                    }
                }
            }
        }
    }
}
