import Glibc

/// Scaling a gradient to a largest norm.
enum GradientClipping {
    /// Σ g² of each piece of some ranges, in double precision.
    ///
    /// The cut into pieces is fixed, so that sums depend neither on the number of threads nor on that of ranks.
    static func squares(_ parameters: ParameterStore, _ ranges: [Range<Int>]) -> [(elements: Range<Int>, sum: Double)] {
        guard let start = parameters.gradients.baseAddress else { return [] }
        let pieces = Sharding.pieces(of: ranges.enumerated())
        let sums = [Double](unsafeUninitializedCapacity: pieces.count) { sums, count in
            nonisolated(unsafe) let (sums, start) = (sums, start)
            parameters.compute.ranges(pieces.count, atLeast: 4) { range in
                for piece in range {
                    sums[piece] = squares(start + pieces[piece].elements.lowerBound, pieces[piece].elements.count)
                }
            }
            count = pieces.count
        }
        return zip(pieces, sums).map { ($0.elements, $1) }
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

extension ParameterStore {
    /// Whether no gradient is a NaN or an infinity.
    var hasFiniteGradients: Bool {
        GradientClipping.squares(self, [0..<gradients.count]).allSatisfy(\.sum.isFinite)
    }
}
