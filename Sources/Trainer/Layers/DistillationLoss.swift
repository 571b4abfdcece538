import Glibc

/// Soft cross-entropy of the draft's distribution to the target's, over the draft vocabulary.
///
/// With q = softmax(z) of the draft's logits z, and p the target's probabilities renormalised over the draft
/// vocabulary (Σ p = 1):
///
///     loss = −Σ p log q = logsumexp(z) − Σ p z
///     dz   = weight (q − p)
///
/// The expected acceptance of one drafted token is α = Σ min(p', q) with p' the target's probabilities as they are,
/// not renormalised (Leviathan et al. 2023). What α weighs in the loss is a `RowObjective`'s; its derivative is
///
///     dα/dz = q ([q < p'] − S), with S the sum of q where q < p'
enum DistillationLoss {
    /// What one row says of itself.
    struct Row {
        /// Soft cross-entropy.
        var loss: Float
        /// What the row's `RowObjective` minimises, before its weight.
        var objective: Float
        /// The draft's most likely entry, in draft ids.
        var argmax: Int32
        var acceptance: Float
    }

    /// The target's distribution for one row of the draft vocabulary.
    struct Target {
        /// [draftVocabSize]: probabilities renormalised over the draft vocabulary.
        let probabilities: UnsafeMutablePointer<Float>
        /// The share of all probability that the draft vocabulary has.
        let coverage: Float
    }

    /// Turns logits into probabilities in place and returns their log-sum-exp.
    static func softmax(_ x: UnsafeMutablePointer<Float>, _ count: Int) -> Float {
        let largest = maximum(x, count)
        let shift = Vector(repeating: largest)
        var sum = Vector.zero
        for i in stride(from: 0, to: count, by: 16) {
            let e = masked(exp(x.load(i, of: count) - shift), i, count)
            x.store(e, i, of: count)
            sum += e
        }
        let total = sum.total
        let factor = Vector(repeating: 1 / total)
        for i in stride(from: 0, to: count, by: 16) { x.store(x.load(i, of: count) * factor, i, of: count) }
        return largest + logf(total)
    }

    /// The log-sum-exp of a row, which stays as it is.
    static func logSumExp(_ x: UnsafeMutablePointer<Float>, _ count: Int) -> (maximum: Float, sum: Float) {
        let largest = maximum(x, count)
        let shift = Vector(repeating: largest)
        var sum = Vector.zero
        for i in stride(from: 0, to: count, by: 16) { sum += masked(exp(x.load(i, of: count) - shift), i, count) }
        return (largest, sum.total)
    }

    /// Replaces the draft's logits by their gradient, and says what the row lost and would have had accepted.
    ///
    /// - Parameters:
    ///   - z: [count]: the draft's logits on entry, the gradient on return.
    ///   - weight: The row's weight in the loss of the whole step.
    static func forwardBackward(
        _ z: UnsafeMutablePointer<Float>, _ count: Int, _ target: Target, weight: Float,
        objective: RowObjective = .crossEntropy
    ) -> Row {
        let argmax = indexOfMaximum(z, count)
        let largest = z[argmax]
        let shift = Vector(repeating: largest)
        let p = target.probabilities
        // e^(z − max) replaces z; Σ p (z − max) is taken before.
        var (sum, cross) = (Vector.zero, Vector.zero)
        for i in stride(from: 0, to: count, by: 16) {
            let shifted = z.load(i, of: count) - shift
            let e = masked(exp(shifted), i, count)
            cross.addProduct(p.load(i, of: count), shifted)
            sum += e
            z.store(e, i, of: count)
        }
        let total = sum.total
        let loss = logf(total) - cross.total
        if case .crossEntropy = objective {
            let acceptance = crossEntropyGradient(z, count, target, factor: 1 / total, weight: weight)
            return Row(loss: loss, objective: loss, argmax: Int32(argmax), acceptance: acceptance)
        }
        let acceptance = acceptanceGradient(z, count, target, factor: 1 / total, weight: weight, objective)
        return Row(
            loss: loss, objective: objective.value(crossEntropy: loss, acceptance: acceptance), argmax: Int32(argmax),
            acceptance: acceptance)
    }

    /// Replaces e^(z − max) by weight (q − p) and returns α; q is `factor` times what stands there.
    @inline(__always) private static func crossEntropyGradient(
        _ z: UnsafeMutablePointer<Float>, _ count: Int, _ target: Target, factor: Float, weight: Float
    ) -> Float {
        let (factor, coverage) = (Vector(repeating: factor), Vector(repeating: target.coverage))
        let weight = Vector(repeating: weight)
        var acceptance = Vector.zero
        for i in stride(from: 0, to: count, by: 16) {
            let (q, p) = (z.load(i, of: count) * factor, target.probabilities.load(i, of: count))
            acceptance += smaller(p * coverage, q)
            z.store(weight * (q - p), i, of: count)
        }
        return acceptance.total
    }

    /// The same for an objective that weighs α, whose gradient needs α first.
    private static func acceptanceGradient(
        _ z: UnsafeMutablePointer<Float>, _ count: Int, _ target: Target, factor: Float, weight: Float,
        _ objective: RowObjective
    ) -> Float {
        let (factor, coverage) = (Vector(repeating: factor), Vector(repeating: target.coverage))
        var (acceptance, below) = (Vector.zero, Vector.zero)
        for i in stride(from: 0, to: count, by: 16) {
            let (q, p) = (z.load(i, of: count) * factor, target.probabilities.load(i, of: count) * coverage)
            acceptance += smaller(p, q)
            below += Vector.zero.replacing(with: q, where: q .< p)
            z.store(q, i, of: count)
        }
        let alpha = acceptance.total
        let share = Vector(repeating: below.total)
        let factors = objective.factors(acceptance: alpha)
        let (a, b) = (Vector(repeating: weight * factors.crossEntropy), Vector(repeating: weight * factors.acceptance))
        for i in stride(from: 0, to: count, by: 16) {
            let (q, p) = (z.load(i, of: count), target.probabilities.load(i, of: count))
            let isBelow = Vector.zero.replacing(with: Vector(repeating: 1), where: q .< p * coverage)
            z.store(a * (q - p) - b * q * (isBelow - share), i, of: count)
        }
        return alpha
    }

    /// Zero in the lanes past the end, which hold no logits.
    @inline(__always) private static func masked(_ x: Vector, _ offset: Int, _ count: Int) -> Vector {
        if _fastPath(offset + 16 <= count) { return x }
        var x = x
        for lane in (count - offset)..<16 { x[lane] = 0 }
        return x
    }
}
