extension TrainingLoop {
    /// What a step did.
    struct StepReport {
        /// Steps done, this one included.
        let step: Int
        /// What was measured of the draft, over all ranks.
        let statistics: TrainingStatistics
        let learningRate: Float
        /// Before clipping.
        let gradNorm: Double
        /// Tokens of the global batch.
        let tokens: Double
        /// The global batch's samples.
        let samples: [Int]
        /// Those that couldn't be read and were left out.
        let badSamples: [Int]
        /// How long the step waited for its samples.
        let waited: Duration
        /// What this rank's samples found in the cache of the target's features; nil without one.
        let targetCache: TargetCache.Counts?
        /// Whether the loss or the gradient had a NaN or an infinity, and the weights were left as they were.
        let isSkipped: Bool
        /// Whether none of its samples could be read, and the weights were left as they were.
        var isEmpty: Bool { samples.isEmpty }
        /// Of a skipped step, the samples whose own loss or gradient has one; none if only their sum does.
        let nonFiniteSamples: [Int]
        /// Whether any rank was asked to stop.
        let isInterrupted: Bool
    }
}
