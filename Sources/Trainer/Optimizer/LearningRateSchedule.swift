import Glibc

/// Linear warm-up to a peak, then half a cosine down to zero, in closed form.
///
/// At step s from 0, with W warm-up steps of S: peak (s + 1) / W while s < W, then
/// peak (1 + cos(π (s − W) / (S − W))) / 2. So a resumed run needs nothing but its step.
struct LearningRateSchedule {
    let peak: Float
    let warmupSteps: Int
    let totalSteps: Int

    init(peak: Float, warmupRatio: Float, totalSteps: Int) {
        self.peak = peak
        self.totalSteps = totalSteps
        warmupSteps = Int(Double(warmupRatio) * Double(totalSteps) + 1e-6)
    }

    func learningRate(at step: Int) -> Float {
        if step < warmupSteps { return Float(Double(peak) * Double(step + 1) / Double(warmupSteps)) }
        let progress = Double(step - warmupSteps) / Double(max(1, totalSteps - warmupSteps))
        return Float(Double(peak) * 0.5 * (1 + cos(.pi * min(1, progress))))
    }
}
