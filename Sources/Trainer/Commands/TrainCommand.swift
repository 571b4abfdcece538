import Shared

/// `Trainer train`.
enum TrainCommand {
    static let command = Command("train", TrainOptions.self) { options in
        let began = ContinuousClock.now
        try run(options, Ranks.start(options.target, hasFixedCuts: options.optimizer.deterministic), began: began)
    }

    /// Collective: call on all ranks.
    ///
    /// - Parameter began: When the program did.
    static func run(
        _ options: TrainOptions, _ grid: ProcessGrid, began: ContinuousClock.Instant = .now,
        registry: DraftRegistry = .standard
    ) throws {
        let train = try options.data.store.open(options.data.trainDataPath, options.target)
        let heldOut =
            options.data.evalDataPath.isEmpty
            ? nil : try options.data.store.open(options.data.evalDataPath, options.target)
        let source = try DraftSource(options.target, options.draft, registry: registry)
        // What doesn't depend on the number of ranks has a batch that doesn't either.
        try options.optimizer.preset.fill(
            options, options.draft, samples: train.count, groups: options.optimizer.deterministic ? 1 : grid.dpSize,
            source.configuration, steps: { options.settings.steps(samples: train.count) })
        let decoding = heldOut.map { (limits: options.evaluation.limits, longest: $0.longest) }
        let settings = options.settings
        let setup = try DraftSetup(
            options.target, options.draft, source, options.cache, grid: grid,
            positions: max(train.longest, heldOut?.longest ?? 0), settings, decoding: decoding,
            seed: options.optimizer.seed, vocabulary: train)
        let loop = try TrainingLoop(grid: grid, model: setup.model, samples: train, settings: settings)
        let evaluation = try heldOut.map { samples in
            let limits = options.evaluation.limits
            return HeldOutEvaluation(
                samples, limit: options.evaluation.evalLossSamples, loop,
                limits.prompts == 0 ? nil : try setup.decoding(samples, limits, options.data.onBadSample, grid))
        }
        if let heldOut { try grid.world.onFirstRank { try HeldOutOverlap.warn(heldOut, in: train, check: $0) } }
        let fixed = options.fixedSettings(data: train.identity, draft: setup.configuration, grid.compute)
        let run = TrainingRun(
            loop, setup.configuration, setup.mapping, evaluation: evaluation, options.checkpoints,
            RunMetrics(options.metrics, setup.model.draft, grid, stepsPerEpoch: loop.sampler.stepsPerEpoch),
            options.runSettings(fixed: fixed, spent: ContinuousClock.now - began))
        try run.run()
    }
}
