import Shared

/// What people and programs see of a run's steps: lines of the log, `metrics.jsonl` and TensorBoard's events.
final class RunMetrics {
    /// What is written, and what tells it apart.
    struct Settings {
        /// The directory of `metrics.jsonl`.
        var directory: String
        /// Whether TensorBoard's event files are written too.
        var writesEvents: Bool
        var maxGradNorm: Float
        /// Whether Muon updates weights.
        var orthogonalizes: Bool
        /// Whether the target's features are kept in a cache.
        var hasTargetCache: Bool
        /// The options of the run, as given.
        var options: [(name: String, value: String)]
    }

    private let settings: Settings
    private let draft: any DraftModel
    private let grid: ProcessGrid
    private let stepsPerEpoch: Int
    private var writers: [any MetricsWriter] = []
    private var interval: MetricsInterval
    private var hasNotedOptimizer = false

    init(_ settings: Settings, _ draft: any DraftModel, _ grid: ProcessGrid, stepsPerEpoch: Int) {
        self.settings = settings
        self.draft = draft
        self.grid = grid
        self.stepsPerEpoch = stepsPerEpoch
        interval = MetricsInterval(positions: draft.positionCount, start: Profile.times)
    }

    /// Opens the files of a run that continues after `step`, on the first rank, and notes how it was started.
    func start(after step: Int, _ description: [(String, JSONText)]) throws {
        if grid.world.rank == 0 {
            writers.append(try MetricsFile(directory: settings.directory, after: step))
            if settings.writesEvents {
                writers.append(
                    try EventFile(
                        directory: "\(settings.directory)/\(EventFile.directoryName)", after: step))
            }
        }
        let given = settings.options.filter { !$0.value.isEmpty }.map { ($0.name, JSONText.string($0.value)) }
        try append(.run, step: step, description + [("options", .object(given))])
        interval = MetricsInterval(positions: draft.positionCount, start: Profile.times)
    }

    /// Takes in a step.
    func add(_ report: TrainingLoop.StepReport) { interval.add(report, maxGradNorm: settings.maxGradNorm) }

    /// "loss … | acc …" of the steps since the last record, for the progress bar.
    var line: String { interval.statistics.line }

    /// Writes a record of the steps since the last one, if there are any.
    ///
    /// Collective: call on all ranks.
    func write(_ report: TrainingLoop.StepReport) throws {
        guard interval.steps > 0 else { return }
        let memory = grid.world.max([Double(Machine.peakResidentBytes)])[0]
        let cached = grid.world.sum([interval.targetCache.hits, interval.targetCache.misses].map { Double($0) })
        let profile = ProfileReport(interval.times(until: Profile.times), over: grid.world)
        let values = interval.values(
            report, epoch: Double(report.step) / Double(stepsPerEpoch),
            targetCache: settings.hasTargetCache ? (Int(cached[0]), Int(cached[1])) : nil,
            loss: draft.loss, peakMemory: memory,
            profile: profile)
        let number = { (name: String) in values.first { $0.0 == name }?.1.double ?? 0 }
        let (rate, waited) = (number("tokens_per_second"), number("data_wait_share"))
        Log.line(
            "step \(report.step) | \(line) | lr \(report.learningRate) | |g| \(fixed(report.gradNorm, 3)) | "
                + "\(shortNumber(rate)) tokens/s | waited for data \(fixed(100 * waited, 2))%")
        if !hasNotedOptimizer,
            let note = OptimizerShare.note(
                profile.share(of: .optimizer), orthogonalizes: settings.orthogonalizes)
        {
            hasNotedOptimizer = true
            Log.line("note: \(note)")
        }
        try append(.train, step: report.step, values)
        interval = MetricsInterval(positions: draft.positionCount, start: Profile.times)
    }

    /// Adds a record; one that can't be written, because the disk is full say, is left out and logged.
    func append(_ kind: MetricsRecord.Kind, step: Int, _ values: [(String, JSONText)]) throws {
        for writer in writers {
            do {
                try writer.append(MetricsRecord(kind: kind, step: step, values: values))
            } catch let error as FileError {
                Log.warning("\(error); a record of step \(step) is left out")
            }
        }
    }

    /// Runs what isn't a step, whose time is left out of the steps'.
    func apart<R>(isSaving: Bool = false, _ body: () throws -> R) rethrows -> R {
        let before = Profile.times
        defer { interval.leaveOut(Profile.times.since(before), isSaving: isSaving) }
        return try body()
    }
}
