/// A convolution over the rows of a sequence, of each channel by itself: y_t = Σ_k w_k x_{t − K + 1 + k} + b.
///
/// Rows before the first are those of `history`, or zero. So is the short convolution of LFM2, and what Mamba-2 and the
/// gated delta rule make of their inputs.
struct CausalConvolution {
    /// [K, channels].
    let weight: Matrix
    /// [1, channels].
    let bias: Matrix?
    /// Whether silu of it is wanted.
    let hasSilu: Bool

    var channels: Int { weight.columns }
    /// Rows of the past that it looks at.
    var reach: Int { weight.rows - 1 }

    /// - Parameters:
    ///   - x: [rows, channels], of one sequence.
    ///   - history: [reach, channels]: the rows before; on return those before the next.
    ///   - y: [rows, channels]; not `x`.
    func forward(_ x: Matrix, history: Matrix, into y: Matrix) {
        let n = channels
        y.compute.rows(x.rows, of: n * weight.rows) { range in
            for row in range {
                let output = y.row(row)
                for i in stride(from: 0, to: n, by: 16) {
                    var sum = bias.map { $0.start.load(i, of: n) } ?? .zero
                    for tap in 0..<weight.rows {
                        let from = row + tap - reach
                        let input = from < 0 ? history.row(reach + from) : x.row(from)
                        sum.addProduct(weight.row(tap).load(i, of: n), input.load(i, of: n))
                    }
                    output.store(hasSilu ? sum / (1 + exp(-sum)) : sum, i, of: n)
                }
            }
        }
        // In ascending order a row that moves has been read before it is written over.
        for row in 0..<reach {
            let from = x.rows + row - reach
            history.row(row).update(from: from < 0 ? history.row(reach + from) : x.row(from), count: n)
        }
    }
}
