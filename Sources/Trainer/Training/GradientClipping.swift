import Glibc

/// Scaling a gradient to a largest norm.
enum GradientClipping {
    /// Numbers that are summed in one go; a fixed cut, so that the sum doesn't depend on the number of threads.
    private static let pieceCount = 1 << 16

    /// √Σ g², summed in double precision.
    static func norm(_ gradients: UnsafeMutableBufferPointer<Float>) -> Double {
        guard let start = gradients.baseAddress else { return 0 }
        let pieces = (gradients.count + pieceCount - 1) / pieceCount
        let sums = [Double](unsafeUninitializedCapacity: pieces) { sums, count in
            nonisolated(unsafe) let (sums, start) = (sums, start)
            Parallel.forEach(pieces) { piece, _ in
                let first = piece * pieceCount
                sums[piece] = squares(start + first, min(pieceCount, gradients.count - first))
            }
            count = pieces
        }
        return sums.reduce(0, +).squareRoot()
    }

    /// The factor that brings a gradient of `norm` down to `limit`; 1 if it is small enough.
    ///
    /// As torch's `clip_grad_norm_`.
    static func factor(norm: Double, limit: Float) -> Float {
        Float(min(1, Double(limit) / (norm + 1e-6)))
    }

    private static func squares(_ x: UnsafeMutablePointer<Float>, _ count: Int) -> Double {
        var sum = SIMD8<Double>.zero
        for i in stride(from: 0, to: count, by: 16) {
            let v = x.load(i, of: count)
            let (low, high) = (SIMD8<Double>(v.lowHalf), SIMD8<Double>(v.highHalf))
            sum += low * low + high * high
        }
        return sum.sum()
    }
}
