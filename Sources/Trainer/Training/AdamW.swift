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
    /// First and second moments, one for each trained weight of the store.
    let m: UnsafeMutableBufferPointer<Float>
    let v: UnsafeMutableBufferPointer<Float>
    /// Updates so far.
    var updates = 0

    init(count: Int, _ settings: Settings = Settings()) {
        self.settings = settings
        m = UnsafeMutableBufferPointer(start: allocateFloats(count), count: count)
        v = UnsafeMutableBufferPointer(start: allocateFloats(count), count: count)
        m.update(repeating: 0)
        v.update(repeating: 0)
    }

    deinit {
        free(m.baseAddress)
        free(v.baseAddress)
    }

    /// Moves every trained weight of the store along its gradient times `gradientFactor`.
    func update(_ parameters: ParameterStore, learningRate: Float, gradientFactor: Float) {
        updates += 1
        let count = parameters.gradients.count
        guard let w0 = parameters.weights.baseAddress, let g0 = parameters.gradients.baseAddress,
            let m0 = m.baseAddress, let v0 = v.baseAddress
        else { return }
        nonisolated(unsafe) let (w, g, m, v) = (w0, g0, m0, v0)
        let (beta1, beta2) = (Double(settings.beta1), Double(settings.beta2))
        let stepSize = Vector(repeating: Float(Double(learningRate) / (1 - pow(beta1, Double(updates)))))
        let rootCorrection = Vector(repeating: Float((1 - pow(beta2, Double(updates))).squareRoot()))
        let decay = Vector(repeating: 1 - learningRate * settings.weightDecay)
        let (b1, c1) = (Vector(repeating: settings.beta1), Vector(repeating: 1 - settings.beta1))
        let (b2, c2) = (Vector(repeating: settings.beta2), Vector(repeating: 1 - settings.beta2))
        let (epsilon, factor) = (Vector(repeating: settings.epsilon), Vector(repeating: gradientFactor))
        Parallel.ranges(count / 16, atLeast: 4096) { range in
            for i in stride(from: range.lowerBound * 16, to: range.upperBound * 16, by: 16) {
                let gradient = g.load(i, of: count) * factor
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
