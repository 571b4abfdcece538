/// What the target's own head is given, for a draft with that head to learn beside the distributions.
///
///     loss += weight Σ_labels weight_label (1 − c)      c = yᵀDt / √(yᵀDy tᵀDt),   D = diag(1 / mean square of t)
///
/// with y what the draft gives to the head for a label, t the target's last hidden state after its norm in the row that
/// the label learns from, and the mean over the rows of the label's sequence. A distribution says little of a draft's
/// hidden state while the draft is wrong about most tokens; the state that makes the right distribution says all of it
/// from the first step on (EAGLE regresses it: Li et al. 2024, section 3.2). A cosine leaves the logits' scale to the
/// cross-entropy. D is there because few channels have most of a hidden state's length and not most of what the head
/// reads of it; a channel that is next to nothing beside the others is left out.
struct FeatureAlignment {
    /// What 1 − c counts beside a label's loss.
    private let weight: Float
    /// t of all rows: [rows, hidden].
    private let target: Matrix
    /// The diagonal of D, of each sequence.
    private let scales: [[Float]]

    /// - Returns: Nil if it has no weight.
    init?(_ lesson: Lesson, _ weights: LossWeights?) {
        guard let weights, weights.features > 0 else { return nil }
        weight = weights.features
        target = lesson.targetHidden
        var rows = 0..<0
        scales = lesson.ownSequences.map { sequence in
            rows = rows.upperBound..<rows.upperBound + sequence.length
            return Self.scale(lesson.targetHidden[rows: rows])
        }
    }

    /// One over each column's mean square; zero for one that is a millionth of a column's mean length, or less.
    private static func scale(_ hidden: Matrix) -> [Float] {
        let n = hidden.columns
        var squares = [Float](repeating: 0, count: n)
        squares.withUnsafeMutableBufferPointer { squares in
            guard let sums = squares.baseAddress else { return }
            for row in 0..<hidden.rows {
                for i in stride(from: 0, to: n, by: 16) {
                    let values = hidden.row(row).load(i, of: n)
                    sums.store(sums.load(i, of: n).addingProduct(values, values), i, of: n)
                }
            }
        }
        let least = 1e-12 * squares.reduce(0, +) / Float(n)
        return squares.map { $0 > least ? Float(hidden.rows) / $0 : 0 }
    }

    /// Adds each label's gradient of y to a row of `dY`.
    ///
    /// - Parameters:
    ///   - labels: Of the rows of y; one past its sequence's end has nothing to learn.
    ///   - weights: What each label counts.
    ///   - y: [labels, hidden].
    /// - Returns: c of each label; nil where there is none.
    func addGradients(_ labels: [DraftLabels.Label], weights: [Float], y: Matrix, to dY: Matrix) -> [Float?] {
        precondition(y.columns == target.columns && dY.columns == y.columns && dY.rows == y.rows)
        return [Float?](unsafeUninitializedCapacity: labels.count) { cosines, count in
            nonisolated(unsafe) let cosines = cosines
            y.compute.forEach(labels.count) { i, _ in
                let cosine = labels[i].targetRow.flatMap {
                    scales[labels[i].sequence].withUnsafeBufferPointer { [row = $0] scale in
                        addGradient(weight * weights[i], y: y.row(i), t: target.row(row), scale, to: dY.row(i))
                    }
                }
                (cosines.baseAddress.unsafelyUnwrapped + i).initialize(to: cosine)
            }
            count = labels.count
        }
    }

    /// d(1 − c)/dy = (c Dy / yᵀDy) − Dt / √(yᵀDy tᵀDt).
    private func addGradient(
        _ weight: Float, y: UnsafeMutablePointer<Float>, t: UnsafeMutablePointer<Float>,
        _ scale: UnsafeBufferPointer<Float>, to dY: UnsafeMutablePointer<Float>
    ) -> Float? {
        guard let start = scale.baseAddress else { return nil }
        let (n, d) = (scale.count, UnsafeMutablePointer(mutating: start))
        var (yy, yt, tt) = (Vector.zero, Vector.zero, Vector.zero)
        for i in stride(from: 0, to: n, by: 16) {
            let (y, t) = (y.load(i, of: n), t.load(i, of: n))
            let scaled = t * d.load(i, of: n)
            yy.addProduct(y * d.load(i, of: n), y)
            yt.addProduct(scaled, y)
            tt.addProduct(scaled, t)
        }
        let lengths = (yy.total * tt.total).squareRoot()
        guard lengths > 0 else { return nil }
        let cosine = yt.total / lengths
        let (ofY, ofT) = (
            Vector(repeating: weight * cosine / yy.total), Vector(repeating: -weight / lengths)
        )
        for i in stride(from: 0, to: n, by: 16) {
            let sum = (y.load(i, of: n) * ofY).addingProduct(t.load(i, of: n), ofT)
            dY.store(dY.load(i, of: n).addingProduct(sum, d.load(i, of: n)), i, of: n)
        }
        return cosine
    }
}
