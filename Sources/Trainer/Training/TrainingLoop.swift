import Shared

/// Training: the page to read first.
///
/// A step sees the next global batch, of which each rank has a part. Gradients add up over micro batches and ranks,
/// and are divided by what the whole step's loss is a mean over, which is counted before. Everything is a function of
/// the settings, the samples and the step's number.
final class TrainingLoop {
    let grid: ProcessGrid
    let model: OnlineEagle3
    let settings: TrainingSettings
    let samples: any TrainingSamples
    let optimizer: AdamW
    let sampler: BatchSampler
    let schedule: LearningRateSchedule
    let totalSteps: Int
    /// Steps that are done.
    private(set) var step = 0
    private let workspace = Workspace()
    private var order: (epoch: Int, samples: [Int])?

    /// What a step did.
    struct StepReport {
        /// Steps done, this one included.
        let step: Int
        /// The sum of all steps' losses with their decay: what was minimised, per label.
        let statistics: TrainingStatistics
        let learningRate: Float
        /// Before clipping.
        let gradNorm: Double
        /// Tokens of the global batch.
        let tokens: Double
        /// The global batch's samples.
        let samples: [Int]
        /// Whether the gradient had a NaN or an infinity, and the weights were left as they were.
        let isSkipped: Bool
        /// Whether any rank was asked to stop.
        let isInterrupted: Bool
    }

    init(
        grid: ProcessGrid, model: OnlineEagle3, samples: any TrainingSamples, settings: TrainingSettings
    ) throws(OptionsError) {
        guard samples.count > 0 else { throw .rule("there is no sample to train on") }
        self.grid = grid
        self.model = model
        self.settings = settings
        self.samples = samples
        sampler = BatchSampler(
            sampleCount: samples.count, globalBatchSize: settings.globalBatchSize, seed: settings.seed)
        totalSteps = settings.totalSteps ?? settings.numEpochs * sampler.stepsPerEpoch
        schedule = LearningRateSchedule(
            peak: settings.learningRate, warmupRatio: settings.warmupRatio, totalSteps: totalSteps)
        optimizer = AdamW(count: model.draft.parameters.gradients.count, settings.adam)
    }

    var isDone: Bool { step >= totalSteps }

    /// Epochs that are complete.
    var epoch: Int { step / sampler.stepsPerEpoch }

    var isEndOfEpoch: Bool { step.isMultiple(of: sampler.stepsPerEpoch) }

    /// Goes on behind `step` steps, whose weights and moments have been restored.
    func resume(at step: Int) { self.step = step }

    /// Does the next step.
    func run() throws -> StepReport {
        let batch = sampler.batch(order(epoch: step / sampler.stepsPerEpoch), step: step)
        let micro = try Profile.measure(.data) { try read(batch) }
        let parameters = model.draft.parameters
        let own = micro.flatMap { $0[grid.tensorParallel.rank] }
        let count = try grid.world.sum([
            own.reduce(0) { $0 + Double(model.labelCount(Batch([$1]))) },
            own.reduce(0) { $0 + Double($1.inputIDs.count) },
        ])
        var statistics = TrainingStatistics(tttLength: model.tttLength)
        parameters.zeroGradients()
        for samples in micro {
            let weights = weights(samples[grid.tensorParallel.rank], labels: count[0], sequences: batch.count)
            statistics.add(try model.run(samples, weights: weights, in: workspace))
        }
        try grid.world.allReduceSum(parameters.gradients)
        let norm = Profile.measure(.optimizer) { GradientClipping.norm(parameters.gradients) }
        let learningRate = schedule.learningRate(at: step)
        if norm.isFinite {
            Profile.measure(.optimizer) {
                optimizer.update(
                    parameters, learningRate: learningRate,
                    gradientFactor: GradientClipping.factor(norm: norm, limit: settings.maxGradNorm))
            }
        }
        step += 1
        let isInterrupted = try grid.world.max([Interrupt.isRequested ? 1 : 0])[0] > 0
        return StepReport(
            step: step, statistics: try statistics.reduced(over: grid.world), learningRate: learningRate,
            gradNorm: norm, tokens: count[1], samples: Array(batch), isSkipped: !norm.isFinite,
            isInterrupted: isInterrupted)
    }

    /// Measures the draft on other samples, without training on them.
    func evaluate(_ samples: any TrainingSamples) throws -> TrainingStatistics {
        try HeldOut.measure(samples, model, grid, batchSize: settings.batchSize, in: workspace)
    }

    /// The most memory that activations took, in floats.
    var workspaceHighWater: Int { workspace.highWater }

    private func weights(_ own: [Sample], labels: Double, sequences: Int) -> LossWeights {
        LossWeights(
            decay: settings.tttLossDecay,
            sequences: own.map { sample in
                switch settings.normalization {
                case .tokens: Float(1 / max(1, labels))
                case .rows: Float(1 / Double(sample.inputIDs.count) / Double(sequences))
                }
            },
            objective: settings.objective,
            acceptanceRows: settings.normalization == .rows ? own.map { Float($0.inputIDs.count) } : nil)
    }

    /// For each micro batch, for each rank of this tensor-parallel group, its samples.
    private func read(_ batch: ArraySlice<Int>) throws -> [[[Sample]]] {
        try grid.groupParts(of: batch, batchSize: settings.batchSize, samples).map { parts in
            try parts.map { part in try part.map(samples.sample(at:)) }
        }
    }

    private func order(epoch: Int) -> [Int] {
        if let order, order.epoch == epoch { return order.samples }
        let samples = sampler.order(epoch: epoch)
        order = (epoch, samples)
        return samples
    }
}

extension ProcessGrid {
    /// A global batch as micro batches of the ranks of this tensor-parallel group.
    func groupParts(of batch: ArraySlice<Int>, batchSize: Int, _ samples: any TrainingSamples) -> [[[Int]]] {
        let first = world.rank - tensorParallel.rank
        let micro = BatchSampler.microBatches(
            batch, ranks: world.size, batchSize: batchSize, length: samples.length(of:))
        return micro.map { Array($0[first..<first + tensorParallel.size]) }
    }
}

/// Held-out loss and accuracies.
enum HeldOut {
    /// Measures a draft on samples, divided among the ranks; every rank gets the sums.
    static func measure(
        _ samples: any TrainingSamples, _ model: OnlineEagle3, _ grid: ProcessGrid, batchSize: Int,
        in workspace: Workspace, progress: (Int) -> Void = { _ in }
    ) throws -> TrainingStatistics {
        var statistics = TrainingStatistics(tttLength: model.tttLength)
        for (done, parts) in grid.groupParts(of: Array(0..<samples.count)[...], batchSize: batchSize, samples)
            .enumerated()
        {
            let read = try Profile.measure(.data) { try parts.map { part in try part.map(samples.sample(at:)) } }
            statistics.add(try model.run(read, weights: nil, in: workspace))
            progress(min(samples.count, (done + 1) * batchSize * grid.world.size))
            try Interrupt.check()
        }
        return try statistics.reduced(over: grid.world)
    }
}
