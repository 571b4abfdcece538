import Glibc

/// AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019; torch's `AdamW`).
///
/// With g the gradient after clipping, at update n from 1:
///
///     m = β₁ m + (1 − β₁) g        v = β₂ v + (1 − β₂) g²
///     w = w − lr λ w − lr (m / (1 − β₁ⁿ)) / (√(v / (1 − β₂ⁿ)) + ε)
final class AdamW {
    struct Settings: Equatable {
        var beta1: Float = 0.9
        var beta2: Float = 0.999
        var epsilon: Float = 1e-8
        var weightDecay: Float = 0
    }

    let settings: Settings
    /// The ranges in a store of the weights that are updated.
    private let ranges: [Range<Int>]
    /// Where each range's moments stand in `m` and `v`.
    let places: [Range<Int>]
    /// First and second moments of these weights, concatenated by range.
    let m: UnsafeMutableBufferPointer<Float>
    let v: UnsafeMutableBufferPointer<Float>
    /// Updates so far.
    var updates = 0

    /// For some ranges of a store's weights, which begin at multiples of 16.
    init(_ ranges: [Range<Int>], _ settings: Settings = Settings()) {
        self.settings = settings
        self.ranges = ranges
        let starts = ranges.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
        places = zip(starts, starts.dropFirst()).map { $0..<$1 }
        let count = starts[ranges.count]
        m = UnsafeMutableBufferPointer(start: allocateFloats(count), count: count)
        v = UnsafeMutableBufferPointer(start: allocateFloats(count), count: count)
        m.update(repeating: 0)
        v.update(repeating: 0)
    }

    deinit {
        free(m.baseAddress)
        free(v.baseAddress)
    }

    /// Moves the weights along their gradients times `gradientFactor`.
    ///
    /// - Parameter updated: Called when a range, by its number, is done.
    func update(
        _ parameters: ParameterStore, learningRate: Float, gradientFactor: Float, updated: (Int) -> Void
    ) {
        updates += 1
        guard let w = parameters.weights.baseAddress, let g = parameters.gradients.baseAddress,
            let m = m.baseAddress, let v = v.baseAddress
        else { return }
        let factors = Factors(settings, updates: updates, learningRate: learningRate, gradientFactor: gradientFactor)
        for (index, range) in ranges.enumerated() {
            let (start, place) = (range.lowerBound, places[index].lowerBound)
            factors.update(w + start, g + start, m + place, v + place, range.count, parameters.compute)
            updated(index)
        }
    }

    /// The numbers of an update that are the same for all weights.
    private struct Factors {
        let stepSize, rootCorrection, decay, b1, c1, b2, c2, epsilon, gradient: Vector

        init(_ settings: Settings, updates: Int, learningRate: Float, gradientFactor: Float) {
            let (beta1, beta2) = (Double(settings.beta1), Double(settings.beta2))
            stepSize = Vector(repeating: Float(Double(learningRate) / (1 - pow(beta1, Double(updates)))))
            rootCorrection = Vector(repeating: Float((1 - pow(beta2, Double(updates))).squareRoot()))
            decay = Vector(repeating: 1 - learningRate * settings.weightDecay)
            (b1, c1) = (Vector(repeating: settings.beta1), Vector(repeating: 1 - settings.beta1))
            (b2, c2) = (Vector(repeating: settings.beta2), Vector(repeating: 1 - settings.beta2))
            epsilon = Vector(repeating: settings.epsilon)
            gradient = Vector(repeating: gradientFactor)
        }

        func update(
            _ w: UnsafeMutablePointer<Float>, _ g: UnsafeMutablePointer<Float>, _ m: UnsafeMutablePointer<Float>,
            _ v: UnsafeMutablePointer<Float>, _ count: Int, _ compute: Compute
        ) {
            nonisolated(unsafe) let (w, g, m, v) = (w, g, m, v)
            compute.ranges((count + 15) / 16, atLeast: 4096) { range in
                for i in stride(from: range.lowerBound * 16, to: range.upperBound * 16, by: 16) {
                    let gradient = g.load(i, of: count) * gradient
                    let first = b1 * m.load(i, of: count) + c1 * gradient
                    let second = b2 * v.load(i, of: count) + c2 * gradient * gradient
                    m.store(first, i, of: count)
                    v.store(second, i, of: count)
                    let denominator = second.squareRoot() / rootCorrection + epsilon
                    w.store(w.load(i, of: count) * decay - stepSize * first / denominator, i, of: count)
                }
            }
        }
    }
}
