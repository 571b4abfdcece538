import Glibc

/// How likely a row's draft is to be accepted: σ(s), s = w·[y; e] + b, with y the row's hidden state after the norm and e
/// the Markov head's of the token before it.
///
/// It learns c = 1 − TV, which verification accepts at a temperature of one, by binary cross-entropy:
///
///     BCE = log(1 + e^s) − c s      ds = σ(s) − c
///
/// No gradient flows through c; that of s reaches y and e. An engine ends a block where σ(s) is small.
struct ConfidenceHead {
    /// [1, hidden + r], or [1, hidden] without e.
    let weight: Parameter
    /// [1].
    let bias: Parameter

    static func declarations(_ shape: BlockShape) -> [ParameterStore.Declaration] {
        let inputs = shape.hiddenSize + (shape.confidence == .hiddenAndToken ? shape.markovRank : 0)
        return [
            .matrix([("confidence_head.proj.weight", 1)], columns: inputs),
            .vector("confidence_head.proj.bias", count: 1),
        ]
    }

    /// Begins with even odds for all rows.
    func initialize() {
        weight.weight.fill(0)
        bias.weight.fill(0)
    }

    /// Of a row's y and e; e isn't read if the head doesn't see it.
    func logit(_ y: UnsafeMutablePointer<Float>, _ hidden: Int, _ e: UnsafeMutablePointer<Float>?) -> Float {
        let (w, rank) = (weight.weight.start, weight.weight.columns - hidden)
        let token = rank > 0 ? e.map { dot(w + hidden, $0, rank) } ?? 0 : 0
        return dot(w, y, hidden) + token + bias.weight[0, 0]
    }

    /// The binary cross-entropy of a logit and a probability, and its derivative.
    static func loss(_ s: Float, _ c: Float) -> (value: Float, derivative: Float) {
        let e = expf(-abs(s))
        let sigma = s >= 0 ? 1 / (1 + e) : e / (1 + e)
        return (max(s, 0) + log1pf(e) - c * s, sigma - c)
    }

    /// Adds to the gradients of w, b, y and e, rows in their order for any number of threads.
    ///
    /// - Parameter dS: Of each row.
    func backward(_ dS: [Float], y: Matrix, e: Matrix?, into dY: Matrix, _ dE: Matrix?) {
        backward(dS, y, firstInput: 0, into: dY)
        if let e, let dE, weight.weight.columns > y.columns {
            backward(dS, e, firstInput: y.columns, into: dE)
        }
        bias.gradient[0, 0] += dS.reduce(0, +)
    }

    private func backward(_ dS: [Float], _ x: Matrix, firstInput: Int, into dX: Matrix) {
        let columns = firstInput..<firstInput + x.columns
        let (w, gradient) = (weight.weight[columns: columns], weight.gradient[columns: columns])
        x.compute.forEach((x.columns + 15) / 16) { block, _ in
            let (column, count) = (16 * block, min(16, x.columns - 16 * block))
            for row in 0..<x.rows {
                add(dS[row], x.row(row) + column, to: gradient.row(0) + column, count)
                add(dS[row], w.row(0) + column, to: dX.row(row) + column, count)
            }
        }
    }
}
