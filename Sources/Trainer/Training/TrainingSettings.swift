/// What a training run follows: the options that its result depends on.
struct TrainingSettings: Equatable {
    /// What the loss is a mean over.
    enum LossNormalization: String, CaseIterable, Sendable {
        /// The supervised tokens of a step, over all ranks: every token counts the same.
        case tokens
        /// The rows of each sequence, then the sequences, as EAGLE and SpecForge do: prompts and short answers dilute.
        case rows
    }

    var numEpochs = 10
    /// Steps in all; nil for as many as the epochs have.
    var totalSteps: Int?
    /// Sequences that a rank works on at a time.
    var batchSize = 1
    /// Sequences of a step over all ranks.
    var globalBatchSize = 8
    var learningRate: Float = 1e-4
    var schedule = LearningRateSchedule.Decay.cosine
    var warmupRatio: Float = 0.015
    var maxGradNorm: Float = 0.5
    var normalization = LossNormalization.tokens
    /// What `FeatureAlignment` counts in the first step; it falls to nothing in a line.
    var featureLossWeight: Float = 0
    var seed = 0
    /// Whether the result is the same bit by bit for any number of ranks.
    var isDeterministic = false
    var badSamples = BadSamplePolicy.stop
    /// What gradients are rounded to on their way between ranks.
    var reduceType = WireType.float32
    /// Gradients that ranks exchange in one go.
    var bucketSize = Sharding.bucketSize
    var adam = AdamW.Settings()
    /// What updates hidden matrices instead of AdamW, if anything.
    var muon: Muon.Settings?

    /// Steps of a run over some samples.
    func steps(samples: Int) -> Int {
        totalSteps ?? numEpochs * BatchSampler.stepsPerEpoch(samples, globalBatchSize: globalBatchSize)
    }

    /// The most sequences that a rank gets of a step of this many, and so of a micro batch.
    static func largestShare(of sequences: Int, ranks: Int) -> Int { (sequences + ranks - 1) / ranks }
}
