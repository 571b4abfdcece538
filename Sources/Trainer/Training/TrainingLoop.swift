import Shared

/// Training: the page to read first.
///
/// A step sees the next global batch, of which each rank has a part. Gradients add up over micro batches and ranks,
/// and are divided by what the whole step's loss is a mean over, which is counted before. Each rank updates its share
/// of the weights and sends it to the others. Everything is a function of the settings, the samples and the step's
/// number.
final class TrainingLoop {
    let grid: ProcessGrid
    let model: OnlineEagle3
    let settings: TrainingSettings
    let samples: any TrainingSamples
    let optimizer: ShardedOptimizer
    let sampler: BatchSampler
    let schedule: LearningRateSchedule
    let totalSteps: Int
    /// Steps that are done.
    private(set) var step = 0
    private let workspace = Workspace()
    private let reader: BatchReader

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

    /// - Throws: `OptionsError` if there is nothing to train on.
    init(
        grid: ProcessGrid, model: OnlineEagle3, samples: any TrainingSamples, settings: TrainingSettings
    ) throws {
        guard samples.count > 0 else { throw OptionsError.rule("there is no sample to train on") }
        self.grid = grid
        self.model = model
        self.settings = settings
        self.samples = samples
        sampler = BatchSampler(
            sampleCount: samples.count, globalBatchSize: settings.globalBatchSize, seed: settings.seed)
        totalSteps = settings.totalSteps ?? settings.numEpochs * sampler.stepsPerEpoch
        schedule = LearningRateSchedule(
            peak: settings.learningRate, warmupRatio: settings.warmupRatio, totalSteps: totalSteps)
        optimizer = try ShardedOptimizer(
            model.draft.parameters, settings.adam, grid.world, hasRounds: settings.isDeterministic,
            bucketCount: settings.bucketCount)
        let order = EpochOrder(sampler)
        reader = BatchReader(
            samples, grid, batchSize: settings.batchSize, policy: settings.badSamples, steps: 0..<totalSteps,
            cost: SequenceCost(model).callAsFunction
        ) { order.batch($0) }
    }

    var isDone: Bool { step >= totalSteps }

    /// Epochs that are complete.
    var epoch: Int { step / sampler.stepsPerEpoch }

    var isEndOfEpoch: Bool { step.isMultiple(of: sampler.stepsPerEpoch) }

    /// Goes on behind `step` steps, whose weights and moments have been restored.
    func resume(at step: Int) { self.step = step }

    /// Does the next step.
    func run() throws -> StepReport {
        let waitedBefore = reader.waited
        let batch = try Profile.measure(.data) { try reader.batch(step) }
        let own = batch.micro.flatMap { $0[grid.tensorParallel.rank] }
        let count = try grid.world.sum([
            own.reduce(0) { $0 + Double(model.labelCount(Batch([$1]))) },
            own.reduce(0) { $0 + Double($1.inputIDs.count) },
        ])
        let countsBefore = model.cache?.counts
        let statistics = try gradients(of: batch, labels: count[0])
        let counts = countsBefore.flatMap { model.cache?.counts.since($0) }
        // Without a sample there is no gradient: what the last step left in the buffers isn't this step's.
        let norm = batch.samples.isEmpty ? 0 : try Profile.measure(.optimizer) { try optimizer.gradientNorm() }
        let isSkipped = !norm.isFinite || !statistics.isFinite
        let learningRate = schedule.learningRate(at: step)
        if !isSkipped, !batch.samples.isEmpty {
            try Profile.measure(.optimizer) {
                try optimizer.update(
                    learningRate: learningRate,
                    gradientFactor: GradientClipping.factor(norm: norm, limit: settings.maxGradNorm))
            }
        }
        step += 1
        return StepReport(
            step: step, statistics: statistics, learningRate: learningRate, gradNorm: norm, tokens: count[1],
            samples: batch.samples, badSamples: batch.bad, waited: reader.waited - waitedBefore,
            targetCache: counts, isSkipped: isSkipped,
            nonFiniteSamples: isSkipped ? try nonFiniteSamples(of: batch, labels: count[0]) : [],
            isInterrupted: try grid.world.any(Interrupt.isRequested))
    }

    /// The samples whose loss or gradient isn't finite, on any rank: each is computed again by itself.
    ///
    /// For a step that is skipped, whose own gradients nobody needs any more.
    private func nonFiniteSamples(of batch: StepBatch, labels: Double) throws -> [Int] {
        let parameters = model.draft.parameters
        var found: Set<Int> = []
        for (micro, parts) in zip(batch.micro, batch.parts) {
            let own = parts.samples[grid.world.rank]
            for place in 0..<(micro.map(\.count).max() ?? 0) {
                let samples = micro.map { Array($0.dropFirst(place).prefix(1)) }
                let weights = weights(
                    samples[grid.tensorParallel.rank], labels: labels, sequences: batch.samples.count)
                parameters.zeroGradients()
                let isFinite = try model.run(samples, weights: weights, in: workspace).isFinite
                if place < own.count, !(isFinite && parameters.hasFiniteGradients) { found.insert(own[place]) }
            }
        }
        let flags = try grid.world.max(batch.samples.map { found.contains($0) ? 1 : 0 })
        return zip(batch.samples, flags).filter { $0.1 > 0 }.map(\.0)
    }

    /// Runs all micro batches; the optimizer has the gradients' sums then.
    ///
    /// Gradients add up within a rank and are summed over the ranks once, in a round of their own. A deterministic run
    /// has a round for each micro batch, which is one sequence for each rank: sequences are computed each by itself,
    /// and added up in the order of their lengths, by whichever ranks they were computed.
    private func gradients(of batch: StepBatch, labels: Double) throws -> TrainingStatistics {
        let reduction = optimizer.reduction
        var statistics: [TrainingStatistics] = []
        reduction.beginStep()
        for (index, samples) in batch.micro.enumerated() {
            if index == 0 || settings.isDeterministic {
                model.draft.parameters.zeroGradients()
                let parts = batch.parts[index]
                reduction.begin(order: settings.isDeterministic ? parts.busyRanks : parts.order)
            }
            let isLast = index == batch.micro.count - 1 || settings.isDeterministic
            var weights = weights(
                samples[grid.tensorParallel.rank], labels: labels, sequences: batch.samples.count)
            weights.observer = isLast ? reduction : nil
            statistics.append(try model.run(samples, weights: weights, in: workspace))
            if isLast { try Profile.measure(.communication) { try reduction.finish() } }
        }
        reduction.endStep()
        return try TrainingStatistics.sum(
            statistics, tttLength: model.tttLength, orders: batch.parts.map(\.order), over: grid.world)
    }

    /// Measures the draft on other samples, without training on them.
    func evaluate(_ samples: any TrainingSamples) throws -> TrainingStatistics {
        try HeldOut.measure(
            samples, model, grid, batchSize: settings.batchSize, stepSize: settings.globalBatchSize,
            policy: settings.badSamples, in: workspace)
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
}
