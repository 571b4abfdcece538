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
/// not renormalised (Leviathan et al. 2023).
enum DistillationLoss {
    /// What one row says of itself.
    struct Row {
        var loss: Float
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
        let total = sum.sum()
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
        return (largest, sum.sum())
    }

    /// Replaces the draft's logits by their gradient, and says what the row lost and would have had accepted.
    ///
    /// - Parameters:
    ///   - z: [count]: the draft's logits on entry, weight (q − p) on return.
    ///   - weight: The row's weight in the loss of the whole step.
    static func forwardBackward(
        _ z: UnsafeMutablePointer<Float>, _ count: Int, _ target: Target, weight: Float
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
        let total = sum.sum()
        let (factor, coverage) = (Vector(repeating: 1 / total), Vector(repeating: target.coverage))
        let weight = Vector(repeating: weight)
        var acceptance = Vector.zero
        for i in stride(from: 0, to: count, by: 16) {
            let (q, p) = (z.load(i, of: count) * factor, p.load(i, of: count))
            acceptance += smaller(p * coverage, q)
            z.store(weight * (q - p), i, of: count)
        }
        return Row(loss: logf(total) - cross.sum(), argmax: Int32(argmax), acceptance: acceptance.sum())
    }

    /// Zero in the lanes past the end, which hold no logits.
    @inline(__always) private static func masked(_ x: Vector, _ offset: Int, _ count: Int) -> Vector {
        if _fastPath(offset + 16 <= count) { return x }
        var x = x
        for lane in (count - offset)..<16 { x[lane] = 0 }
        return x
    }
}
