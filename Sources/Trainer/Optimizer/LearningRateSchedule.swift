import Glibc

/// Linear warm-up to a peak, then down to zero along half a cosine or a line, in closed form.
///
/// At step s from 0, with W warm-up steps of S: peak (s + 1) / W while s < W, then
/// peak (1 + cos(π (s − W) / (S − W))) / 2, or peak (S − s) / (S − W). So a resumed run needs nothing but its step.
struct LearningRateSchedule {
    /// How the rate falls.
    enum Decay: String, CaseIterable, Sendable { case cosine, linear }

    let peak: Float
    let warmupSteps: Int
    let totalSteps: Int
    let decay: Decay

    init(peak: Float, warmupRatio: Float, totalSteps: Int, decay: Decay = .cosine) {
        self.peak = peak
        self.totalSteps = totalSteps
        self.decay = decay
        warmupSteps = Int(Double(warmupRatio) * Double(totalSteps) + 1e-6)
    }

    func learningRate(at step: Int) -> Float {
        if step < warmupSteps { return Float(Double(peak) * Double(step + 1) / Double(warmupSteps)) }
        let progress = min(1, Double(step - warmupSteps) / Double(max(1, totalSteps - warmupSteps)))
        let factor =
            switch decay {
            case .cosine: 0.5 * (1 + cos(.pi * progress))
            case .linear: 1 - progress
            }
        return Float(Double(peak) * factor)
    }
}
