import Glibc

/// Rotary position embedding: each pair (x₁, x₂) of a head is turned by the angle p ω.
///
/// (Su and others 2021.) At position p, with the halves of a head, or of its part that turns, as pairs
/// (Hugging Face's layout, x₁ = x[i], x₂ = x[i + d/2]):
///
///     y₁ = x₁ cos pω − x₂ sin pω
///     y₂ = x₂ cos pω + x₁ sin pω
///
/// A rotation's transpose is the rotation back, which is the backward pass.
struct RotaryEmbedding {
    let headDim: Int
    /// Pairs of a head that are turned.
    private let half: Int
    /// [positions, half] each.
    private let cosines: [Float]
    private let sines: [Float]
    private let positions: Int

    enum Direction { case forward, backward }

    /// - Parameters:
    ///   - frequencies: ω of each pair that is turned.
    ///   - positions: How many positions to prepare: one more than the largest that will be asked for.
    ///   - headDim: The size of a head, of which elements after the pairs stay; two for each pair if nil.
    ///   - magnitude: What the result is multiplied by.
    init(frequencies: [Double], positions: Int, headDim: Int? = nil, magnitude: Double = 1) {
        half = frequencies.count
        self.headDim = headDim ?? 2 * frequencies.count
        self.positions = positions
        let angles = (0..<positions).flatMap { position in
            // As transformers does: the angle is a float32 product.
            frequencies.map { Double(Float(position) * Float($0)) }
        }
        cosines = angles.map { Float(Glibc.cos($0) * magnitude) }
        sines = angles.map { Float(Glibc.sin($0) * magnitude) }
    }

    /// Turns every head of every row in place.
    ///
    /// - Parameters:
    ///   - x: [rows, heads · headDim].
    ///   - positionOf: Each row's position.
    ///   - offset: Added to each position: the step of training-time test.
    func apply(_ x: Matrix, positionOf: [Int32], offset: Int = 0, _ direction: Direction = .forward) {
        precondition(x.rows == positionOf.count && x.columns.isMultiple(of: headDim))
        let half = half
        let sign: Float = direction == .forward ? 1 : -1
        cosines.withUnsafeBufferPointer { cosines in
            sines.withUnsafeBufferPointer { sines in
                guard let cosines = cosines.baseAddress, let sines = sines.baseAddress else { return }
                nonisolated(unsafe) let (c0, s0) = (
                    UnsafeMutablePointer(mutating: cosines), UnsafeMutablePointer(mutating: sines)
                )
                x.compute.ranges(x.rows, atLeast: 16) { range in
                    for row in range {
                        let position = Int(positionOf[row]) + offset
                        precondition(position >= 0 && position < positions)
                        let (c, s) = (c0 + position * half, s0 + position * half)
                        for head in stride(from: 0, to: x.columns, by: headDim) {
                            let (first, second) = (x.row(row) + head, x.row(row) + head + half)
                            for i in stride(from: 0, to: half, by: 16) {
                                let (a, b) = (first.load(i, of: half), second.load(i, of: half))
                                let (cos, sin) = (c.load(i, of: half), s.load(i, of: half) * sign)
                                first.store(a * cos - b * sin, i, of: half)
                                second.store(b * cos + a * sin, i, of: half)
                            }
                        }
                    }
                }
            }
        }
    }
}
