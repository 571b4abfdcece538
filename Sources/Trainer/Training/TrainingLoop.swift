import Shared

/// Training: the page to read first.
///
/// A step sees the next global batch, of which each rank has a part. Gradients add up over micro batches and ranks,
/// and are divided by what the whole step's loss is a mean over, which is counted before. Each rank updates its share
/// of the weights and sends it to the others. Everything is a function of the settings, the samples and the step's
/// number.
final class TrainingLoop {
    /// Runs the next step.
    func run() throws -> StepReport {
        let start = (waited: reader.waited, cached: model.cache?.counts)
        let batch = try Profile.measure(.data) { try reader.batch(step) }
        let count = count(batch)
        let statistics = gradients(of: batch, labels: count.labels)
        // Without a sample there is no gradient: what the last step left in the buffers isn't this step's.
        let norm = batch.samples.isEmpty ? 0 : Profile.measure(.optimizer) { optimizer.gradientNorm() }
        let learningRate = schedule.learningRate(at: step)
        let isSkipped = !norm.isFinite || !statistics.isFinite
        if !isSkipped, !batch.samples.isEmpty {
            let factor = GradientClipping.factor(norm: norm, limit: settings.maxGradNorm)
            Profile.measure(.optimizer) {
                optimizer.update(learningRate: learningRate, gradientFactor: factor, in: workspace)
            }
        }
        step += 1
        return StepReport(
            step: step, statistics: statistics, learningRate: learningRate, gradNorm: norm, tokens: count.tokens,
            samples: batch.samples, badSamples: batch.bad, waited: reader.waited - start.waited,
            targetCache: start.cached.flatMap { model.cache?.counts.since($0) }, isSkipped: isSkipped,
            nonFiniteSamples: isSkipped ? nonFiniteSamples(of: batch, labels: count.labels) : [],
            isInterrupted: grid.world.any(Interrupt.isRequested))
    }

    /// Forward and backward passes over all micro batches; on return the optimizer has the sums of the gradients.
    ///
    /// Gradients add up within a rank and are summed over the ranks once, in one round. A deterministic run has a round
    /// for each micro batch, which is one sequence for each rank: sequences are computed each by itself, and added up
    /// in the order of their lengths, whichever ranks computed them.
    private func gradients(of batch: StepBatch, labels: Double) -> TrainingStatistics {
        let reduction = optimizer.reduction
        var statistics: [TrainingStatistics] = []
        reduction.beginStep()
        for (index, micro) in batch.micro.enumerated() {
            if index == 0 || settings.isDeterministic {
                model.draft.parameters.zeroGradients()
                reduction.begin(order: settings.isDeterministic ? micro.busyRanks : micro.order)
            }
            let isLast = index == batch.micro.count - 1 || settings.isDeterministic
            var weights = weights(
                micro.sequences[grid.tensorParallel.rank], labels: labels, sequences: batch.samples.count)
            weights.observer = isLast ? reduction : nil
            statistics.append(model.run(micro.sequences, weights: weights, in: workspace))
            if isLast { Profile.measure(.communication) { reduction.finish() } }
        }
        reduction.endStep()
        return TrainingStatistics.sum(
            statistics, positions: model.draft.positionCount, orders: batch.micro.map(\.order), over: grid.world)
    }

    /// What the loss is a mean over, and the tokens, of a global batch, over all ranks.
    private func count(_ batch: StepBatch) -> (labels: Double, tokens: Double) {
        let own = batch.micro.flatMap { $0.sequences[grid.tensorParallel.rank] }
        let sums = grid.world.sum([
            own.reduce(0) { $0 + model.draft.labelCount($1) }, own.reduce(0) { $0 + Double($1.length) },
        ])
        return (sums[0], sums[1])
    }

    /// The samples whose loss or gradient isn't finite, on any rank: each is computed again by itself.
    ///
    /// For a step that is skipped, whose own gradients nobody needs any more.
    private func nonFiniteSamples(of batch: StepBatch, labels: Double) -> [Int] {
        let parameters = model.draft.parameters
        var found: Set<Int> = []
        for micro in batch.micro {
            let own = micro.numbers[grid.world.rank]
            for index in 0..<(micro.sequences.map(\.count).max() ?? 0) {
                let sequences = micro.sequences.map { Array($0.dropFirst(index).prefix(1)) }
                let weights = weights(
                    sequences[grid.tensorParallel.rank], labels: labels, sequences: batch.samples.count)
                parameters.zeroGradients()
                let isFinite = model.run(sequences, weights: weights, in: workspace).isFinite
                if index < own.count, !(isFinite && parameters.hasFiniteGradients) { found.insert(own[index]) }
            }
        }
        let flags = grid.world.max(batch.samples.map { found.contains($0) ? 1 : 0 })
        return zip(batch.samples, flags).filter { $0.1 > 0 }.map(\.0)
    }

    private func weights(_ own: [TrainingSequence], labels: Double, sequences: Int) -> LossWeights {
        LossWeights(
            sequences: own.map { sequence in
                switch settings.normalization {
                case .tokens: Float(1 / max(1, labels))
                case .rows: Float(1 / Double(sequence.length) / Double(sequences))
                }
            },
            acceptanceRows: settings.normalization == .rows ? own.map { Float($0.length) } : nil,
            features: settings.featureLossWeight * Float(totalSteps - step) / Float(totalSteps))
    }

    // MARK: - What it is made of

    let grid: ProcessGrid
    let model: OnlineDraft
    let settings: TrainingSettings
    let samples: any TrainingSamples
    let optimizer: ShardedOptimizer
    let sampler: BatchSampler
    let schedule: LearningRateSchedule
    let totalSteps: Int
    /// Steps that are done.
    private(set) var step = 0
    private let workspace: Workspace
    private let reader: BatchReader

    /// - Throws: `OptionsError` if there is nothing to train on.
    init(
        grid: ProcessGrid, model: OnlineDraft, samples: any TrainingSamples, settings: TrainingSettings
    ) throws {
        guard samples.count > 0 else { throw OptionsError.rule("there is no sample to train on") }
        self.grid = grid
        workspace = Workspace(grid.compute)
        self.model = model
        self.settings = settings
        self.samples = samples
        sampler = BatchSampler(
            sampleCount: samples.count, globalBatchSize: settings.globalBatchSize, seed: settings.seed)
        totalSteps = settings.steps(samples: samples.count)
        schedule = LearningRateSchedule(
            peak: settings.learningRate, warmupRatio: settings.warmupRatio, totalSteps: totalSteps,
            decay: settings.schedule)
        optimizer = ShardedOptimizer(
            model.draft.parameters, settings.adam, muon: settings.muon, grid.world, hasRounds: settings.isDeterministic,
            reduceType: settings.reduceType, bucketSize: settings.bucketSize)
        let order = EpochOrder(sampler)
        reader = BatchReader(
            samples, grid, batchSize: settings.batchSize, policy: settings.badSamples, steps: 0..<totalSteps,
            cost: model.cost, seed: sampler.sampleSeed
        ) { order.batch($0) }
    }

    var isDone: Bool { step >= totalSteps }

    /// Epochs that are complete.
    var epoch: Int { step / sampler.stepsPerEpoch }

    var isEndOfEpoch: Bool { step.isMultiple(of: sampler.stepsPerEpoch) }

    /// Resumes after `step` steps, whose weights and moments have been restored.
    func resume(at step: Int) { self.step = step }

    /// Measures the draft on other samples, without training on them.
    func evaluate(_ samples: any TrainingSamples) throws -> TrainingStatistics {
        try HeldOut.measure(
            samples, model, grid, batchSize: settings.batchSize, stepSize: settings.globalBatchSize,
            policy: settings.badSamples, in: workspace)
    }

    /// The most memory that activations took, in floats.
    var workspaceHighWater: Int { workspace.highWater }
}
