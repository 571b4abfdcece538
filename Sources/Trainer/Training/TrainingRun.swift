import Shared

/// A training run: the loop, and what surrounds it.
///
/// Checkpoints, evaluation, log and metrics: all that a run does between its steps.
final class TrainingRun {
    /// Trains to the end, or until the run is stopped.
    ///
    /// - Throws: What ended it, after the steps that are done have been saved.
    func run() throws {
        let began = ContinuousClock.now
        try start()
        Log.line("ready for the first step after \(fixed((ContinuousClock.now - began + settings.spent).seconds, 2)) s")
        do {
            while !loop.isDone, !isOutOfPatience { try note(loop.run()) }
        } catch let error where error is Interrupted || error is BadSample {
            // What every rank throws at the same place: the steps that are done are kept.
            try save(isLast: true)
            logEnd()
            throw error
        }
        try finish()
        logEnd()
        try learning.expectSomethingLearnt()
    }

    /// What a run follows beside what its loop does.
    struct Settings {
        /// Steps between records of the log and of the metrics.
        var logSteps: Int
        var saveInterval: SaveInterval?
        /// Steps between evaluations, beside those at the end of each epoch.
        var evalInterval: Int?
        /// Evaluations in a row without a better draft that stop the run.
        var patience: Int?
        /// Whether to continue from the newest checkpoint.
        var resumes: Bool
        /// Whether to log at the end where the time went.
        var logsProfile: Bool
        /// What must not change between a run and its continuation, by option.
        var fixed: [String: String]
        /// How long the program took before the run.
        var spent: Duration
    }

    let loop: TrainingLoop
    private let settings: Settings
    private let configuration: any DraftConfiguration
    private let mapping: VocabularyMapping
    private let evaluation: HeldOutEvaluation?
    private let checkpoints: Checkpoints
    private let metrics: RunMetrics
    private let progress: Progress
    private var best = BestDraft()
    private var savedStep = -1
    private var savedTime = ContinuousClock.now
    private var evaluatedStep = -1
    /// Of the evaluation at `evaluatedStep`.
    private var reference: AcceptanceReference?
    private var isEvaluationDue = false
    private var faults = Faults()
    private var learning = LearningWatch()

    /// - Parameter evaluation: Nil where nothing is held out.
    init(
        _ loop: TrainingLoop, _ configuration: any DraftConfiguration, _ mapping: VocabularyMapping,
        evaluation: HeldOutEvaluation?, _ checkpoints: Checkpoints, _ metrics: RunMetrics, _ settings: Settings
    ) {
        self.loop = loop
        self.configuration = configuration
        self.mapping = mapping
        self.evaluation = evaluation
        self.checkpoints = checkpoints
        self.metrics = metrics
        self.settings = settings
        progress = Progress("training", total: Double(loop.totalSteps), unit: "steps", isLogged: false)
        Log.line(
            "draft: \(shortNumber(Double(loop.model.draft.parameters.parameterCount))) trained parameters, "
                + "vocabulary \(mapping.draftVocabSize) of \(mapping.vocabSize), "
                + "layers \(configuration.targetLayers) of the target")
        Log.line(
            "data: \(loop.samples.count) samples, \(loop.totalSteps) steps of \(loop.settings.globalBatchSize) "
                + "sequences, \(loop.sampler.stepsPerEpoch) steps an epoch")
    }

    /// Resumes from a checkpoint, or makes sure that none is in the way.
    private func start() throws {
        let world = loop.grid.world
        try world.onFirstRank { _ in try checkpoints.tidy() }
        let found = try checkpoints.newest(world)
        guard world.isSame(Double(found?.state.step ?? -1)) else {
            throw RanksDiffer(description: "--resume: ranks see other checkpoints in \(checkpoints.directory)")
        }
        if let found, settings.resumes {
            try checkSettings(found.state.settings, found.path)
            try world.together { beat in
                try Checkpoints.restore(found.path, into: loop.model.draft.parameters, loop.optimizer, check: beat)
            }
            loop.optimizer.updates = found.state.updates
            loop.resume(at: found.state.step)
            best = found.state.best
            savedStep = found.state.step
            isEvaluationDue = found.state.isEvaluationDue
            faults = found.state.faults
            Log.line("resuming from \(found.path), \(found.state.step) of \(loop.totalSteps) steps done")
            if let note = found.state.note(kernels: BLAS.kernels) { Log.line("note: \(note)") }
        } else if let found {
            throw OptionsError.rule(
                "\(found.path) is there already: give --resume to continue it, or another --output-dir")
        }
        world.barrier()
        try metrics.start(after: loop.step, description)
        savedTime = .now
        // The checkpoint gets what it was interrupted before, as in a run that wasn't.
        if isEvaluationDue, try !evaluate() {
            savedStep = -1
            try save()
        }
    }

    /// Logs, evaluates and saves what is due after a step.
    private func note(_ report: TrainingLoop.StepReport) throws {
        metrics.add(report)
        learning.note(report)
        try faults.note(report)
        progress.update(Double(report.step), note: metrics.line)
        if report.step.isMultiple(of: settings.logSteps) || loop.isDone { try metrics.write(report) }
        let isEnd = loop.isEndOfEpoch || loop.isDone
        isEvaluationDue =
            evaluation != nil && (isEnd || settings.evalInterval.map(report.step.isMultiple(of:)) ?? false)
        if isEvaluationDue, !report.isInterrupted { try evaluate() }
        if isEnd || isSaveDue { try save() }
        if report.isInterrupted {
            try metrics.write(report)
            throw AgreedInterruption.error()
        }
    }

    /// Whether a checkpoint is due, by rank 0's clock if it goes by time.
    private var isSaveDue: Bool {
        guard let interval = settings.saveInterval else { return false }
        let isDue = interval.isDue(step: loop.step, sinceLast: ContinuousClock.now - savedTime)
        return loop.grid.world.any(isDue && loop.grid.world.rank == 0)
    }

    /// Whether as many evaluations as `--patience` allows were no better than the best.
    private var isOutOfPatience: Bool { settings.patience.map { best.evaluationsSince >= $0 } ?? false }

    private func finish() throws {
        progress.finish()
        if !loop.isDone {
            Log.line(
                "stopped at step \(loop.step) of \(loop.totalSteps): \(best.evaluationsSince) evaluations without a "
                    + "better draft (--patience)")
            try save(isLast: true)
        }
        if evaluation != nil {
            Log.line("best: acceptance length \(best.description), \(checkpoints.directory)/best")
        }
        let digest = loop.model.draft.parameters.digest
        Log.line("done: \(loop.step) steps; checkpoint \(checkpoints.directory)/latest; weights \(digest.hex)")
        Log.line(
            "peak memory \(shortNumber(Double(Machine.peakResidentBytes)))B on this rank, activations "
                + "\(shortNumber(Double(4 * loop.workspaceHighWater)))B")
    }

    /// Logs what the cache was good for and where the time went.
    ///
    /// Collective: call on all ranks.
    private func logEnd() {
        if let cache = loop.model.cache { Log.line(cache.summary(loop.grid.world)) }
        if settings.logsProfile { loop.grid.logProfile() }
    }

    /// Writes a checkpoint of the step at hand, unless it is there already.
    ///
    /// One that can't be written, because the disk is full say, is logged and tried again when the next one is due.
    ///
    /// - Parameter isLast: Whether the run ends here, and fails if it can't be saved.
    /// - Returns: Whether it was written, the same on every rank.
    @discardableResult
    private func save(isBest: Bool = false, isLast: Bool = false) throws -> Bool {
        guard savedStep != loop.step || isBest else { return true }
        defer { savedTime = .now }
        do {
            try metrics.apart(isSaving: true) {
                try Profile.measure(.checkpoint) { try write(isBest: isBest) }
            }
        } catch {
            if isLast || loop.isDone { throw error }
            if loop.grid.world.rank == 0 { Log.error("\(error); the checkpoint is left out, and training goes on") }
            return false
        }
        savedStep = loop.step
        return true
    }

    private func write(isBest: Bool) throws {
        let state = CheckpointState(
            step: loop.step, epoch: loop.epoch, updates: loop.optimizer.updates, best: best,
            isEvaluationDue: isEvaluationDue, faults: faults, settings: settings.fixed, provenance: provenance)
        let name = loop.isEndOfEpoch ? "epoch_\(loop.epoch)" : "step_\(loop.step)"
        try checkpoints.save(
            Checkpoints.Contents(
                configuration: configuration, parameters: loop.model.draft.parameters,
                optimizer: loop.optimizer, mapping: mapping, state: state,
                reference: evaluatedStep == loop.step ? reference : nil),
            name: name, isBest: isBest, world: loop.grid.world)
        Log.line("saved \(checkpoints.directory)/\(name)\(isBest ? ", the best so far" : "")")
    }

    // MARK: - Parts of a step's notes

    /// - Returns: Whether the step was saved, as the best so far.
    @discardableResult
    private func evaluate() throws -> Bool {
        guard let evaluation, evaluatedStep != loop.step else { return false }
        let (report, before) = (try metrics.apart { try evaluation.run() }, best)
        (evaluatedStep, reference) = (loop.step, report.reference)
        isEvaluationDue = false
        let isBest = best.note(report.acceptanceLength, report.source, step: loop.step)
        Log.line("step \(loop.step) | held out: \(report.line)\(isBest ? "" : ", best \(best.description)")")
        try metrics.append(
            .heldOut, step: loop.step, report.values + [("evaluations_since_best", .int(best.evaluationsSince))])
        guard isBest else { return false }
        let isSaved = try save(isBest: true)
        if !isSaved { best = before }
        return isSaved
    }

    private func checkSettings(_ saved: [String: String], _ path: String) throws(OptionsError) {
        // What runs have that began before there was a choice.
        let saved = [
            "--optimizer": "adamw", "--learning-rate-schedule": LearningRateSchedule.Decay.cosine.rawValue,
            "--feature-loss-weight": Float(0).shown,
        ].merging(saved) { $1 }
        let changes = settings.fixed.filter { saved[$0.key] != $0.value }.sorted { $0.key < $1.key }
        guard changes.isEmpty else {
            let list = changes.map { "\($0.key) was \(saved[$0.key] ?? "absent"), is \($0.value)" }
            throw .rule(
                "\(path) belongs to another run: \(list.joined(separator: "; ")); use its settings, or another --output-dir"
            )
        }
    }

    /// What was loaded, and how it is run: the run's own record in the metrics.
    private var description: [(String, JSONText)] {
        provenance.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) } + [
            (
                "products",
                .string("\(loop.grid.compute.description), compiled for \(Machine.compiledFeatures)")
            ),
            ("samples", .int(loop.samples.count)), ("held-out samples", .int(evaluation?.samples.count ?? 0)),
            ("total steps", .int(loop.totalSteps)), ("steps an epoch", .int(loop.sampler.stepsPerEpoch)),
            ("trained parameters", .int(loop.model.draft.parameters.parameterCount)),
            ("draft vocabulary", .string("\(mapping.draftVocabSize) of \(mapping.vocabSize)")),
        ]
    }

    private var provenance: [String: String] {
        [
            "version": Eyrie.version, "command": CommandLine.arguments.joined(separator: " "),
            "ranks": "\(loop.grid.world.size)", "tensor parallel": "\(loop.grid.tpSize)",
            "threads": "\(loop.grid.compute.threads)", CheckpointState.kernels: BLAS.kernels,
        ]
    }
}
