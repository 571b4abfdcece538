import Shared

/// `Trainer train`.
enum TrainCommand {
    static let command = Command("train", TrainOptions.self) { options in
        let began = ContinuousClock.now
        let grid = try Ranks.start(options.target)
        let run = try TrainingRun(options, grid)
        try run.start()
        Log.line("ready for the first step after \(fixed((ContinuousClock.now - began).seconds, 2)) s")
        while !run.loop.isDone, !run.isOutOfPatience {
            let report = try run.loop.run()
            try run.note(report)
            if report.isInterrupted {
                try run.metrics.write(report)
                try run.save()
                try grid.logProfile(options.target)
                throw Interrupted()
            }
        }
        try run.finish()
        try grid.logProfile(options.target)
    }
}

/// A training run with what surrounds its loop: checkpoints, evaluation, log and metrics.
final class TrainingRun {
    let loop: TrainingLoop
    private let options: TrainOptions
    private let grid: ProcessGrid
    private let setup: DraftSetup
    private let evaluation: HeldOutEvaluation?
    private let checkpoints: Checkpoints
    private let fixedSettings: [String: String]
    private var best = BestDraft()
    private var savedStep = -1
    private var evaluatedStep = -1
    private var skippedInARow = 0
    let metrics: RunMetrics
    private let progress: Progress

    /// Steps in a row that may be skipped for a gradient that isn't finite.
    private static let mostSkipped = 10

    init(_ options: TrainOptions, _ grid: ProcessGrid) throws {
        self.options = options
        self.grid = grid
        let train = try StoreSamples(options.data.trainDataPath, options.data.store, options.target)
        let heldOut =
            options.data.evalDataPath.isEmpty
            ? nil : try StoreSamples(options.data.evalDataPath, options.data.store, options.target)
        setup = try DraftSetup(
            options.target, options.draft, grid: grid, positions: max(train.longest, heldOut?.longest ?? 0),
            seed: options.optimizer.seed, mapping: train.vocabularyMapping(draftVocabSize:))
        fixedSettings = options.fixedSettings(data: train.digest, draft: setup.configuration)
        loop = try TrainingLoop(grid: grid, model: setup.model, samples: train, settings: options.settings)
        evaluation = heldOut.map { [loop, setup] in
            HeldOutEvaluation($0, loop, setup, options.evaluation.limits, grid)
        }
        if let heldOut, grid.world.rank == 0 { try HeldOutOverlap.warn(heldOut, in: train) }
        checkpoints = Checkpoints(
            directory: options.output.outputDir, keepLast: options.output.keepLast,
            type: options.output.saveDtype.type)
        metrics = RunMetrics(options, grid, stepsPerEpoch: loop.sampler.stepsPerEpoch)
        progress = Progress("training", total: Double(loop.totalSteps), unit: "steps")
        Log.line(
            "draft: \(shortNumber(Double(setup.model.draft.parameters.parameterCount))) trained parameters, "
                + "vocabulary \(setup.configuration.shape.draftVocabSize) of \(setup.configuration.vocabSize), "
                + "layers \(setup.configuration.auxiliaryLayers) of the target")
        Log.line(
            "data: \(train.count) samples, \(loop.totalSteps) steps of \(options.optimizer.draftGlobalBatchSize) "
                + "sequences, \(loop.sampler.stepsPerEpoch) steps an epoch")
    }

    /// Goes on from a checkpoint, or sees to it that none is in the way.
    func start() throws {
        let found = try checkpoints.newest()
        if let found, options.output.resume {
            try checkSettings(found.state.settings, found.path)
            try Checkpoints.restore(found.path, into: setup.model.draft.parameters, loop.optimizer)
            loop.optimizer.updates = found.state.updates
            loop.resume(at: found.state.step)
            best = found.state.best
            savedStep = found.state.step
            Log.line("resuming from \(found.path), \(found.state.step) of \(loop.totalSteps) steps done")
        } else if let found {
            throw OptionsError.rule(
                "\(found.path) is there already: give --resume to continue it, or another --output-dir")
        }
        try grid.world.barrier()
        try metrics.start(after: loop.step, description)
    }

    /// Logs, evaluates and saves what is due after a step.
    func note(_ report: TrainingLoop.StepReport) throws {
        metrics.add(report)
        try noteSkipped(report)
        progress.update(Double(report.step), note: metrics.line)
        if report.step.isMultiple(of: options.output.logSteps) || loop.isDone { try metrics.write(report) }
        let isEnd = loop.isEndOfEpoch || loop.isDone
        if isEnd || options.evaluation.evalInterval.map(report.step.isMultiple(of:)) ?? false { try evaluate() }
        if isEnd || options.output.saveInterval.map(report.step.isMultiple(of:)) ?? false { try save() }
    }

    /// Whether as many evaluations as `--patience` allows were no better than the best.
    var isOutOfPatience: Bool { options.evaluation.patience.map { best.evaluationsSince >= $0 } ?? false }

    func finish() throws {
        progress.finish()
        if !loop.isDone {
            Log.line(
                "stopped at step \(loop.step) of \(loop.totalSteps): \(best.evaluationsSince) evaluations without a "
                    + "better draft (--patience)")
            try save()
        }
        if evaluation != nil {
            Log.line("best: acceptance length \(best.description), \(options.output.outputDir)/best")
        }
        let digest = setup.model.draft.parameters.digest
        Log.line("done: \(loop.step) steps; checkpoint \(options.output.outputDir)/latest; weights \(digest.hex)")
        Log.line(
            "peak memory \(shortNumber(Double(Machine.peakResidentBytes)))B on this rank, activations "
                + "\(shortNumber(Double(4 * loop.workspaceHighWater)))B")
    }

    /// Writes a checkpoint of the step at hand, unless it is there already.
    func save(isBest: Bool = false) throws {
        guard savedStep != loop.step || isBest else { return }
        savedStep = loop.step
        try metrics.apart(isSaving: true) { try write(isBest: isBest) }
    }

    private func write(isBest: Bool) throws {
        if grid.world.rank == 0 {
            let state = CheckpointState(
                step: loop.step, epoch: loop.epoch, updates: loop.optimizer.updates, best: best,
                settings: fixedSettings, provenance: provenance)
            let name = loop.isEndOfEpoch ? "epoch_\(loop.epoch)" : "step_\(loop.step)"
            try Profile.measure(.checkpoint) {
                try checkpoints.save(
                    Checkpoints.Contents(
                        configuration: setup.configuration, parameters: setup.model.draft.parameters,
                        optimizer: loop.optimizer, mapping: setup.mapping, state: state),
                    name: name, isBest: isBest)
            }
            Log.line("saved \(options.output.outputDir)/\(name)\(isBest ? ", the best so far" : "")")
        }
        try grid.world.barrier()
    }

    // MARK: - Parts of a step's notes

    private func evaluate() throws {
        guard let evaluation, evaluatedStep != loop.step else { return }
        evaluatedStep = loop.step
        let report = try metrics.apart { try evaluation.run() }
        let isBest = best.note(report.acceptanceLength, report.source, step: loop.step)
        Log.line("step \(loop.step) | held out: \(report.line)\(isBest ? "" : ", best \(best.description)")")
        try metrics.append(
            .heldOut, step: loop.step, report.values + [("evaluations_since_best", .int(best.evaluationsSince))])
        if isBest { try save(isBest: true) }
    }

    private func noteSkipped(_ report: TrainingLoop.StepReport) throws {
        guard report.isSkipped else {
            skippedInARow = 0
            return
        }
        skippedInARow += 1
        Log.warning("step \(report.step): the gradient isn't finite, the step is skipped; samples \(report.samples)")
        guard skippedInARow < Self.mostSkipped else {
            throw TrainingError(
                message: "\(skippedInARow) steps in a row had a gradient that isn't finite; "
                    + "the last checkpoint is \(options.output.outputDir)/latest")
        }
    }

    private func checkSettings(_ saved: [String: String], _ path: String) throws(OptionsError) {
        let changes = fixedSettings.filter { saved[$0.key] != $0.value }.sorted { $0.key < $1.key }
        guard changes.isEmpty else {
            let list = changes.map { "\($0.key) was \(saved[$0.key] ?? "absent"), is \($0.value)" }
            throw .rule(
                "\(path) belongs to another run: \(list.joined(separator: "; ")); use its settings, or another --output-dir"
            )
        }
    }

    /// What was loaded, and how it is run: the run's own record in the metrics.
    private var description: [(String, JSONText)] {
        let shape = setup.configuration.shape
        return provenance.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) } + [
            (
                "products",
                .string("\(MatrixPrecision.current) by \(BLAS.name), compiled for \(Machine.compiledFeatures)")
            ),
            ("samples", .int(loop.samples.count)), ("held-out samples", .int(evaluation?.samples.count ?? 0)),
            ("total steps", .int(loop.totalSteps)), ("steps an epoch", .int(loop.sampler.stepsPerEpoch)),
            ("trained parameters", .int(setup.model.draft.parameters.parameterCount)),
            ("draft vocabulary", .string("\(shape.draftVocabSize) of \(setup.configuration.vocabSize)")),
        ]
    }

    private var provenance: [String: String] {
        [
            "version": Program.version, "command": CommandLine.arguments.joined(separator: " "),
            "ranks": "\(grid.world.size)", "tensor parallel": "\(grid.tpSize)", "threads": "\(Parallel.threads)",
        ]
    }
}

/// Why training stopped.
struct TrainingError: Error, CustomStringConvertible {
    let message: String
    var description: String { message }
}
