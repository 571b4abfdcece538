import Shared

/// A step of training cut for more threads than there are, and modelled by its pieces (`ScalingModel`).
struct ScalingBenchmark {
    private let loop: TrainingLoop
    private let recorder: LoopRecorder
    private let tokens: Int

    init(_ options: BenchmarkCommand.Options, _ grid: ProcessGrid, _ recorder: LoopRecorder) throws {
        self.recorder = recorder
        let samples = try options.store.open(options.trainDataPath, options.target)
        var settings = options.settings
        settings.globalBatchSize = options.batchSize
        settings.totalSteps = 1 + 2 * options.steps * Self.counts(options.scaling).count
        let setup = try DraftSetup(
            options.target, options.draft, DraftSource(options.target, options.draft), TargetCacheOptions(), grid: grid,
            positions: samples.longest, settings, seed: 0, vocabulary: samples)
        let longest = try OneSample(longestOf: samples, count: options.batchSize)
        loop = try TrainingLoop(grid: grid, model: setup.model, samples: longest, settings: settings)
        tokens = longest.sample.inputIDs.count * longest.count
    }

    /// One thread, two, and those that were asked for, each once.
    private static func counts(_ wanted: [Int]) -> [Int] {
        var seen: Set<Int> = []
        return ([1, 2] + wanted).filter { seen.insert($0).inserted }
    }

    /// Runs a step that isn't counted, and then `steps` of each number of threads, of whose pieces each counts as in the
    /// step where it was fastest.
    func run(steps: Int, threads: [Int]) throws -> ScalingReport {
        let cores = CPUTopology.allowed.cores
        let costs = ScalingModel.Costs.measured(cores: cores)
        try recorder.run(threads: cores) { _ = try loop.run() }
        var (fastest, clock): ([Int: LoopRecorder.Step], [Int: Double]) = ([:], [:])
        let counts = Self.counts(threads)
        for _ in 0..<steps {
            for count in counts {
                try Interrupt.check()
                if count <= cores {
                    let start = ContinuousClock.now
                    try recorder.run(threads: count) { _ = try loop.run() }
                    clock[count] = min(clock[count] ?? .infinity, (ContinuousClock.now - start).seconds)
                }
                let step = try recorder.simulate(threads: count) { _ = try loop.run() }
                fastest[count] = fastest[count]?.fastest(step) ?? step
                let seconds = ScalingModel(step, costs).seconds
                Log.line("\(count) thread\(count == 1 ? "" : "s") | \(fixed(seconds, 3)) s modelled")
            }
        }
        return ScalingReport(
            tokens: tokens, computing: loop.grid.compute.description, costs: costs,
            models: counts.compactMap { fastest[$0].map { ScalingModel($0, costs) } }, clock: clock)
    }
}

/// The longest sample of a store, over and over.
private struct OneSample: TrainingSamples {
    let sample: Sample
    let count: Int

    init(longestOf samples: StoreSamples, count: Int) throws {
        self.count = count
        var longest = try samples.sample(at: 0)
        for index in 0..<samples.count {
            let sample = try samples.sample(at: index)
            if sample.inputIDs.count > longest.inputIDs.count { longest = sample }
        }
        sample = longest
    }

    func sample(at index: Int) -> Sample { sample }
}

/// What a step would take on some numbers of threads, and its loops on the last of them.
struct ScalingReport {
    let tokens: Int
    let computing: String
    let costs: ScalingModel.Costs
    let models: [ScalingModel]
    /// Seconds of a step that this number of threads really ran.
    let clock: [Int: Double]

    private var one: Double { models.first?.seconds ?? 0 }

    var text: String {
        let all = models.map { model in
            let clock = clock[model.threads].map {
                "\(fixed($0, 3)) (modelled \(signed(100 * (model.seconds / $0 - 1), 1))%)"
            }
            return [
                "\(model.threads)", fixed(model.seconds, 3), fixed(one / model.seconds, 1), fixed(model.serial, 3),
                fixed(model.waking, 3), fixed(model.parallel - model.work / Double(model.threads), 3),
                fixed(model.work / (models.first?.work ?? 1), 2), clock ?? "-",
            ]
        }
        var lines = [
            "A step of \(tokens) tokens, \(computing); a loop of threads that look out for it costs "
                + "\(fixed(1e6 * costs.awake, 1)) µs a level of waking, one of threads that sleep "
                + "\(fixed(1e6 * costs.asleep, 1)) µs",
            "",
        ]
        lines += table(
            ["threads", "seconds", "speed-up", "serial", "waking", "uneven", "work", "by the clock"], all,
            leftColumns: 0)
        guard let last = models.last else { return lines.joined(separator: "\n") }
        lines += ["", "loops of \(last.threads) threads, and what one thread does alone between them", ""]
        let loops = last.loops.map { loop in
            [
                loop.phase?.name ?? "", loop.name, "\(loop.calls)", fixed(loop.pieces, 0), "\(loop.fewest)",
                fixed(loop.unevenness, 2), fixed(loop.work, 4), fixed(loop.seconds, 4),
                fixed(loop.work / max(1e-12, loop.seconds), 1),
            ]
        }
        let between = last.between.sorted { $0.value > $1.value }.map {
            [$0.key, "(alone)", "", "", "", "", fixed($0.value, 4), fixed($0.value, 4), "1.0"]
        }
        lines += table(
            ["phase", "loop", "calls", "pieces", "fewest", "uneven", "work", "seconds", "speed-up"], between + loops,
            leftColumns: 2)
        return lines.joined(separator: "\n")
    }

    private func signed(_ value: Double, _ digits: Int) -> String { (value < 0 ? "" : "+") + fixed(value, digits) }

    /// Rows with columns as wide as their widest entry.
    private func table(_ header: [String], _ rows: [[String]], leftColumns: Int) -> [String] {
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        return ([header] + rows).map { row in
            row.enumerated().map { column, text in
                let space = String(repeating: " ", count: widths[column] - text.count)
                return column < leftColumns ? text + space : space + text
            }.joined(separator: "  ")
        }
    }

    var json: JSONText {
        .object([
            ("tokens", .int(tokens)), ("computing", .string(computing)),
            ("seconds_awake", .number(costs.awake)), ("seconds_asleep", .number(costs.asleep)),
            (
                "threads",
                .array(
                    models.map { model in
                        .object(
                            [
                                ("threads", .int(model.threads)), ("seconds", .number(model.seconds)),
                                ("speed_up", .number(one / model.seconds)), ("serial", .number(model.serial)),
                                ("waking", .number(model.waking)), ("work", .number(model.work)),
                                ("parallel", .number(model.parallel)),
                                ("loops", .array(model.loops.map(json))),
                            ] + (clock[model.threads].map { [("clock", .number($0))] } ?? []))
                    })
            ),
        ])
    }

    private func json(_ loop: ScalingModel.LoopTimes) -> JSONText {
        .object([
            ("phase", .string(loop.phase?.name ?? "")), ("name", .string(loop.name)), ("calls", .int(loop.calls)),
            ("pieces", .number(loop.pieces)), ("fewest", .int(loop.fewest)), ("unevenness", .number(loop.unevenness)),
            ("work", .number(loop.work)), ("seconds", .number(loop.seconds)),
        ])
    }
}
