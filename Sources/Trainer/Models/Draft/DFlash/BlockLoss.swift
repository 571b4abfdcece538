import Glibc

/// What a row of a block minimises: a mixture of three distances to the target's distribution p, or to one token y.
///
///     ce CE + kl KL + tv TV + confidence BCE,   CE = −log q_y,   KL = Σ p log(p / q),   TV = ½ Σ |p − q| = 1 − Σ min(p, q)
///
/// q and p are over the draft vocabulary, each with a sum of one. (Speculators' `ce`, `kl_div` and `tv`; DeepSpec's `l1`
/// is twice `tv`.) BCE is `ConfidenceHead`'s, of drafts that have one.
struct BlockLoss: Equatable, Sendable {
    var ce: Float = 1
    var kl: Float = 0
    var tv: Float = 0
    var confidence: Float = 1
    var label = Label.target
    var weights = PositionWeights()

    /// What CE learns.
    enum Label: String, CaseIterable, Sendable {
        /// The target's likeliest token of the draft vocabulary.
        case target
        /// The text's own token.
        case tokens
    }

    /// What one row says of itself.
    struct Row {
        /// −log q_y.
        var ce: Float
        /// Σ p log(p / q); zero unless it is weighed.
        var kl: Float
        var tv: Float
        /// −Σ p log q.
        var softCrossEntropy: Float
        /// Σ min(p', q) with p' as likely as the whole vocabulary has it.
        var acceptance: Float
        /// The likeliest draft id.
        var argmax: Int32
        /// Σ q of the tokens that the target holds likelier.
        fileprivate var below: Float
        /// The confidence head's loss, and its derivative by that head's logit.
        var bce: Float = 0
        var confidenceGradient: Float = 0
    }

    func value(_ row: Row) -> Float { ce * row.ce + kl * row.kl + tv * row.tv + confidence * row.bce }

    /// Measures a row, and replaces its logits by q.
    ///
    /// - Parameters:
    ///   - z: [count]: logits on entry.
    ///   - label: y, a draft id.
    func measure(
        _ z: UnsafeMutablePointer<Float>, _ count: Int, _ target: DistillationLoss.Target, label: Int
    ) -> Row {
        let (p, labelLogit) = (target.probabilities, z[label])
        let argmax = indexOfMaximum(z, count)
        let cross = dot(p, z, count)
        let logSumExp = DistillationLoss.softmax(z, count)
        let coverage = Vector(repeating: target.coverage)
        var (common, accepted, below) = (Vector.zero, Vector.zero, Vector.zero)
        for i in stride(from: 0, to: count, by: 16) {
            let (q, p) = (z.load(i, of: count), p.load(i, of: count))
            common += smaller(p, q)
            accepted += smaller(p * coverage, q)
            below += Vector.zero.replacing(with: q, where: q .< p)
        }
        let soft = logSumExp - cross
        return Row(
            ce: logSumExp - labelLogit, kl: kl == 0 ? 0 : soft - Self.entropy(p, count), tv: 1 - common.total,
            softCrossEntropy: soft, acceptance: accepted.total, argmax: Int32(argmax), below: below.total)
    }

    /// Replaces q, which `measure` left, by the gradient of the row's logits.
    ///
    /// - Parameters:
    ///   - row: What it measured.
    ///   - weight: The row's in the loss of the whole step.
    func gradient(
        _ q: UnsafeMutablePointer<Float>, _ count: Int, _ target: DistillationLoss.Target, _ row: Row, label: Int,
        weight: Float
    ) {
        // CE and KL: q less what is learnt. TV: −q ([q < p] − Σ q where q < p).
        let p = target.probabilities
        let (share, both) = (Vector(repeating: row.below), Vector(repeating: weight * (ce + kl)))
        let (kl, tv) = (Vector(repeating: weight * kl), Vector(repeating: weight * tv))
        for i in stride(from: 0, to: count, by: 16) {
            let (q0, p) = (q.load(i, of: count), p.load(i, of: count))
            let isBelow = Vector.zero.replacing(with: Vector(repeating: 1), where: q0 .< p)
            q.store(both * q0 - kl * p - tv * q0 * (isBelow - share), i, of: count)
        }
        q[label] -= weight * ce
    }

    /// −Σ p log p.
    private static func entropy(_ p: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
        var sum = 0.0
        for i in 0..<count where p[i] > 0 { sum -= Double(p[i]) * Double(logf(p[i])) }
        return Float(sum)
    }
}

/// What a row counts by its position in its block, and what the loss of a step is divided by.
struct PositionWeights: Equatable, Sendable {
    var kind = Kind.dpace
    /// e^(−position / gamma) of `decay`.
    var gamma: Float = 4
    /// The least that a position's acceptance counts in `dpace`.
    var alpha: Float = 0.5
    /// Whether the loss is divided by the sum of the weights, as DeepSpec's, rather than by the number of labels; of
    /// `dpace` always by the latter, as its weights are no constants.
    var dividesByWeights = false

    enum Kind: String, CaseIterable, Sendable {
        /// By what is likely to be accepted before and after a position, from the draft's own probabilities: with
        /// s_k = alpha + (1 − alpha) q_k(y_k) and P_k = Π_{j ≤ k} s_j, position k counts Σ_{j ≥ k} P_j (D-PACE, arXiv
        /// 2605.18810). No gradient flows through it.
        case dpace
        /// e^(−position / gamma), as DFlash and DSpark.
        case decay
    }

    /// Of a position, where it depends on nothing else.
    func decay(_ position: Int) -> Float { expf(-Float(position) / gamma) }

    /// What a label of each position counts in the divisor.
    func divisor(_ position: Int) -> Double {
        kind == .decay && dividesByWeights ? Double(decay(position)) : 1
    }

    /// The weight of each label.
    ///
    /// - Parameters:
    ///   - labels: Those of whole rounds that learn; a round's are neighbours, by position.
    ///   - ce: The CE of each.
    func weights(_ labels: [DraftLabels.Label], ce: [Float]) -> [Float] {
        guard kind == .dpace else { return labels.map { decay($0.position) } }
        var weights = [Float](repeating: 0, count: labels.count)
        var first = 0
        while first < labels.count {
            let end = labels[first...].firstIndex { $0.round != labels[first].round } ?? labels.count
            var product: Float = 1
            for k in first..<end {
                product *= alpha + (1 - alpha) * expf(-ce[k])
                weights[k] = product
            }
            for k in (first..<end - 1).reversed() { weights[k] += weights[k + 1] }
            first = end
        }
        return weights
    }
}
