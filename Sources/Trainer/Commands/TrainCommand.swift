import Shared

/// `Trainer train`.
enum TrainCommand {
    static let command = Command("train", TrainOptions.self) { options in
        let began = ContinuousClock.now
        let grid = try Ranks.start(options.target)
        if options.optimizer.deterministic { BLAS.fixCuts() }
        let run = try TrainingRun(options, grid)
        try run.start()
        Log.line("ready for the first step after \(fixed((ContinuousClock.now - began).seconds, 2)) s")
        do {
            while !run.loop.isDone, !run.isOutOfPatience {
                let report = try run.loop.run()
                try run.note(report)
                if report.isInterrupted {
                    try run.metrics.write(report)
                    throw AgreedInterruption.error()
                }
            }
        } catch let error where error is Interrupted || error is BadSample {
            // What every rank throws at the same place: the steps that are done are kept.
            try run.save(isLast: true)
            try run.logEnd()
            throw error
        }
        try run.finish()
        try run.logEnd()
        try run.expectSomethingLearnt()
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
    private var savedTime = ContinuousClock.now
    private var evaluatedStep = -1
    private var isEvaluationDue = false
    private var faults = Faults()
    private var learning = LearningWatch()
    let metrics: RunMetrics
    private let progress: Progress

    init(_ options: TrainOptions, _ grid: ProcessGrid) throws {
        self.options = options
        self.grid = grid
        let train = try options.data.store.open(options.data.trainDataPath, options.target)
        let heldOut =
            options.data.evalDataPath.isEmpty
            ? nil : try options.data.store.open(options.data.evalDataPath, options.target)
        setup = try DraftSetup(
            options.target, options.draft, options.cache, grid: grid,
            positions: max(train.longest, heldOut?.longest ?? 0), seed: options.optimizer.seed, vocabulary: train)
        fixedSettings = options.fixedSettings(data: train.identity, draft: setup.configuration)
        loop = try TrainingLoop(grid: grid, model: setup.model, samples: train, settings: options.settings)
        evaluation = heldOut.map { [loop, setup] samples in
            let limits = options.evaluation.limits
            return HeldOutEvaluation(
                samples, loop, limits.prompts == 0 ? nil : setup.decoding(samples, limits, grid))
        }
        if let heldOut { try grid.world.onFirstRank { try HeldOutOverlap.warn(heldOut, in: train) } }
        checkpoints = Checkpoints(
            directory: options.output.outputDir, keepLast: options.output.keepLast,
            type: options.output.saveDtype.type)
        metrics = RunMetrics(options.metrics, grid, stepsPerEpoch: loop.sampler.stepsPerEpoch)
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
        if grid.world.rank == 0 { try checkpoints.tidy() }
        try grid.world.barrier()
        let found = try checkpoints.newest()
        guard try grid.world.isSame(Double(found?.state.step ?? -1)) else {
            throw CommunicationError(
                operation: "--resume", message: "ranks see other checkpoints in \(options.output.outputDir)")
        }
        if let found, options.output.resume {
            try checkSettings(found.state.settings, found.path)
            try Checkpoints.restore(found.path, into: setup.model.draft.parameters, loop.optimizer)
            loop.optimizer.updates = found.state.updates
            loop.resume(at: found.state.step)
            best = found.state.best
            savedStep = found.state.step
            isEvaluationDue = found.state.isEvaluationDue
            faults = found.state.faults
            Log.line("resuming from \(found.path), \(found.state.step) of \(loop.totalSteps) steps done")
        } else if let found {
            throw OptionsError.rule(
                "\(found.path) is there already: give --resume to continue it, or another --output-dir")
        }
        try grid.world.barrier()
        try metrics.start(after: loop.step, description)
        savedTime = .now
        if isEvaluationDue { try evaluate() }
    }

    /// Logs, evaluates and saves what is due after a step.
    func note(_ report: TrainingLoop.StepReport) throws {
        metrics.add(report)
        learning.note(report)
        try faults.note(report)
        progress.update(Double(report.step), note: metrics.line)
        if report.step.isMultiple(of: options.output.logSteps) || loop.isDone { try metrics.write(report) }
        let isEnd = loop.isEndOfEpoch || loop.isDone
        isEvaluationDue =
            evaluation != nil && (isEnd || options.evaluation.evalInterval.map(report.step.isMultiple(of:)) ?? false)
        if isEvaluationDue, !report.isInterrupted { try evaluate() }
        if try isEnd || isSaveDue { try save() }
    }

    /// Whether a checkpoint is due, by rank 0's clock if it goes by time.
    private var isSaveDue: Bool {
        get throws {
            guard let interval = options.output.saveInterval else { return false }
            let isDue = interval.isDue(step: loop.step, sinceLast: ContinuousClock.now - savedTime)
            return try grid.world.any(isDue && grid.world.rank == 0)
        }
    }

    /// Whether as many evaluations as `--patience` allows were no better than the best.
    var isOutOfPatience: Bool { options.evaluation.patience.map { best.evaluationsSince >= $0 } ?? false }

    func finish() throws {
        progress.finish()
        if !loop.isDone {
            Log.line(
                "stopped at step \(loop.step) of \(loop.totalSteps): \(best.evaluationsSince) evaluations without a "
                    + "better draft (--patience)")
            try save(isLast: true)
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

    /// - Throws: `TrainingError` if no step of this run learnt anything.
    func expectSomethingLearnt() throws(TrainingError) { try learning.expectSomethingLearnt() }

    /// Says what the run's parts were good for; every rank comes here.
    func logEnd() throws(CommunicationError) {
        if let cache = setup.model.cache { Log.line(try cache.summary(grid.world)) }
        try grid.logProfile(options.target)
    }

    /// Writes a checkpoint of the step at hand, unless it is there already.
    ///
    /// One that can't be written, because the disk is full say, is said and tried again when the next one is due.
    ///
    /// - Parameter isLast: Whether the run ends here, and fails if it can't be saved.
    /// - Returns: Whether it was written, the same on every rank.
    @discardableResult
    func save(isBest: Bool = false, isLast: Bool = false) throws -> Bool {
        guard savedStep != loop.step || isBest else { return true }
        defer { savedTime = .now }
        do {
            try metrics.apart(isSaving: true) {
                try Profile.measure(.checkpoint) { try write(isBest: isBest) }
            }
        } catch let error as CommunicationError {
            throw error
        } catch {
            if isLast || loop.isDone { throw error }
            if grid.world.rank == 0 { Log.error("\(error); the checkpoint is left out, and training goes on") }
            return false
        }
        savedStep = loop.step
        return true
    }

    private func write(isBest: Bool) throws {
        let state = CheckpointState(
            step: loop.step, epoch: loop.epoch, updates: loop.optimizer.updates, best: best,
            isEvaluationDue: isEvaluationDue, faults: faults, settings: fixedSettings, provenance: provenance)
        let name = loop.isEndOfEpoch ? "epoch_\(loop.epoch)" : "step_\(loop.step)"
        try checkpoints.save(
            Checkpoints.Contents(
                configuration: setup.configuration, parameters: setup.model.draft.parameters,
                optimizer: loop.optimizer, mapping: setup.mapping, state: state),
            name: name, isBest: isBest, world: grid.world)
        Log.line("saved \(options.output.outputDir)/\(name)\(isBest ? ", the best so far" : "")")
    }

    // MARK: - Parts of a step's notes

    private func evaluate() throws {
        guard let evaluation, evaluatedStep != loop.step else { return }
        let (report, before) = (try metrics.apart { try evaluation.run() }, best)
        evaluatedStep = loop.step
        isEvaluationDue = false
        let isBest = best.note(report.acceptanceLength, report.source, step: loop.step)
        Log.line("step \(loop.step) | held out: \(report.line)\(isBest ? "" : ", best \(best.description)")")
        try metrics.append(
            .heldOut, step: loop.step, report.values + [("evaluations_since_best", .int(best.evaluationsSince))])
        if try isBest && !save(isBest: true) { best = before }
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
            "version": Eyrie.version, "command": CommandLine.arguments.joined(separator: " "),
            "ranks": "\(grid.world.size)", "tensor parallel": "\(grid.tpSize)", "threads": "\(Parallel.threads)",
        ]
    }
}
