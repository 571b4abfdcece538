/// The selective state space of one head of Mamba-2: a state of a head's features by n, row by row.
///
///     S ← e^(Δ A) S + Δ x ⊗ B
///     y = S C + D x
///
/// (Dao and Gu 2024, section 7; A = −e^(A_log), Δ = softplus(dt + bias).)
struct StateSpace {
    let headDim: Int
    /// n.
    let stateSize: Int

    /// Numbers of a head's state: [headDim, stateSize].
    var stateCount: Int { headDim * stateSize }

    /// One row.
    ///
    /// - Parameters:
    ///   - x: [headDim], as y; b and c: [stateSize].
    ///   - decay: e^(Δ A).
    func step(
        x: UnsafeMutablePointer<Float>, b: UnsafeMutablePointer<Float>, c: UnsafeMutablePointer<Float>, delta: Float,
        decay: Float, skip: Float, state: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>
    ) {
        for p in 0..<headDim {
            let row = state + p * stateSize
            let input = Vector(repeating: delta * x[p])
            var sum = Vector.zero
            for i in stride(from: 0, to: stateSize, by: 16) {
                let value = (row.load(i, of: stateSize) * decay).addingProduct(input, b.load(i, of: stateSize))
                row.store(value, i, of: stateSize)
                sum.addProduct(value, c.load(i, of: stateSize))
            }
            y[p] = sum.total + skip * x[p]
        }
    }
}
