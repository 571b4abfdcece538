import Shared

/// The time of a training step: parts of it are run on the spot, and stand for the whole by their arithmetic.
///
/// What is run is the program's own code on a model of the right shapes whose weights were never read: a layer of each
/// kind of the target's, and one and three steps of training-time test, with as many rows as take about a second. So
/// the rate is that of this machine, this precision and these shapes, norms and softmax included.
struct TimePlan {
    /// What takes time in a step of the whole world, and how many seconds.
    let parts: [(name: String, seconds: Double)]

    var seconds: Double { parts.reduce(0) { $0 + $1.seconds } }

    /// What is planned for.
    struct Job {
        let target: DecoderTargetModel
        let configuration: Eagle3Configuration
        let draft: any DraftModel
        let sizes: StepSizes
        let options: DraftOptions
        /// Ranks of the world, and threads of each.
        let ranks: Int
        let threads: Int
        /// Micro batches of a rank in a step; the last may count for a part.
        let microBatches: Double
    }

    /// How long each sample may take, about.
    private static let sampleSeconds = 0.7

    init(_ job: Job) throws {
        // Ranks of one machine compute at the same time: so do as many threads here as all of them have.
        let threads = min(Machine.availableCPUs, job.ranks * job.threads)
        let slowness = Double(threads) / Double(min(threads, job.threads))
        Parallel.setThreads(threads)
        defer { Parallel.setThreads(job.threads) }
        let sampler = StepSampler(job, operations: Self.sampleSeconds * StepSampler.productRate())
        let target = try sampler.targetSeconds() * slowness * job.microBatches
        let draft = try sampler.draftSeconds() * slowness * job.microBatches
        let count = job.draft.parameters.gradients.count
        var parts = [
            ("target", target), ("draft", draft),
            ("optimizer", StepSampler.optimizerSeconds(count / job.ranks) * slowness),
        ]
        if job.ranks > 1 {
            let hidden = job.target.configuration.hiddenSize * job.sizes.groupRows
            let sums = job.sizes.tpSize > 1 ? Double((2 * job.target.layers.count + 1) * hidden) : 0
            let floats = sums * job.microBatches + Double(count)
            parts.append(("communication", 4 * floats / StepSampler.allReduceRate() * slowness))
        }
        self.parts = parts
    }
}

/// Runs small parts of a step and says what the whole will take.
struct StepSampler {
    private let job: TimePlan.Job
    /// FLOP of a sample.
    private let operations: Double
    private let workspace = Workspace()

    init(_ job: TimePlan.Job, operations: Double) {
        (self.job, self.operations) = (job, operations)
    }

    /// The target's layers over a micro batch.
    func targetSeconds() throws -> Double {
        let kinds = Dictionary(grouping: job.target.layers.indices) { Kind(job.target.layers[$0]) }
        var seconds = 0.0
        for layers in kinds.values {
            guard let index = layers.first else { continue }
            let layer = job.target.layers[index]
            let whole = job.sizes.operations(layer)
            let sample = sizes(whole: whole, budget: operations / Double(kinds.count))
            let rows = DecoderRows(Batch(sample.samples))
            let rotations = job.target.rotations.map { tables in rows.lengths.map { tables.embedding(length: $0) } }
            let time = try workspace.scope {
                let x = noise(rows: sample.rows, columns: job.target.configuration.hiddenSize)
                return try Self.time { try layer.forward(x, rows, rotations, layer: index, in: workspace) }
            }
            seconds += Double(layers.count) * time * whole / sample.operations(layer)
        }
        return seconds
    }

    /// The draft, forward and backward, and the distributions that it learns.
    ///
    /// What the first step of training-time test takes with the distributions, and what later ones take each.
    func draftSeconds() throws -> Double {
        let steps = job.options.tttLength
        let few = min(3, steps)
        let whole = operations(job.sizes)
        let sample = sizes(whole: whole * Double(few) / Double(steps), budget: operations, tttLength: few)
        let first = try draftSeconds(sample.with(job.options, tttLength: 1))
        let later = few > 1 ? (try draftSeconds(sample) - first) / Double(few - 1) : 0
        let all = operations(sample.with(job.options, tttLength: steps))
        return (first + Double(steps - 1) * later) * whole / all
    }

    private func operations(_ sizes: StepSizes) -> Double {
        sizes.operations(job.configuration.shape) + sizes.teacherOperations(job.target)
    }

    private func draftSeconds(_ sample: StepSizes) throws -> Double {
        let shape = job.configuration.shape
        let teacher = CompactTeacher(job.target, draftToTarget: (0..<Int32(shape.draftVocabSize)).map { $0 })
        return try workspace.scope {
            let features = DraftFeatures(
                auxiliary: noise(rows: sample.rows, columns: 3 * shape.targetHiddenSize),
                embedding: noise(rows: sample.rows + 1, columns: shape.hiddenSize))
            let hidden = noise(rows: sample.groupRows, columns: job.target.configuration.hiddenSize)
            let lesson = Lesson(
                teacher: teacher, targetHidden: hidden,
                plans: [TrainingTimeTestPlan](repeating: sample.plan, count: sample.tpSize),
                firstRow: (0..<sample.tpSize).map { $0 * sample.rows })
            return try Self.time {
                _ = try job.draft.learn(
                    features, lesson, weights: LossWeights(decay: 1, sequences: [1e-6]), in: workspace)
            }
        }
    }

    /// One sequence of so many tokens that its arithmetic is within the budget.
    private func sizes(whole: Double, budget: Double, tttLength: Int = 1) -> StepSizes {
        let longest = job.sizes.samples.map(\.inputIDs.count).max() ?? 1
        let rows = Int(budget / whole * Double(job.sizes.rows))
        return StepSizes(
            sequences: 1, length: min(longest, max(16, rows)), supervised: 1, draft: job.options,
            tpSize: job.sizes.tpSize, tttLength: tttLength)
    }

    private func noise(rows: Int, columns: Int) -> Matrix {
        let matrix = workspace.matrix(rows: rows, columns: columns)
        for row in 0..<rows {
            for column in 0..<columns { matrix[row, column] = Float((row * 31 + column * 17) % 61 - 30) }
        }
        return matrix
    }

    /// Layers that take the same time.
    private struct Kind: Hashable {
        let span: String
        let experts: Int

        init(_ layer: DecoderLayer) {
            span = "\(layer.attention.attention.span)"
            switch layer.feedForward {
            case .dense: experts = 0
            case .experts(let mixture): experts = mixture.router.rows
            }
        }
    }
}

extension StepSampler {
    /// The mean time of as many runs as take a third of a second, after a first one that finds memory cold.
    private static func time(_ body: () throws -> Void) rethrows -> Double {
        try body()
        let start = ContinuousClock.now
        var (runs, seconds) = (0, 0.0)
        while runs == 0 || seconds < 0.3 {
            try body()
            runs += 1
            seconds = (ContinuousClock.now - start).seconds
        }
        return seconds / Double(runs)
    }

    /// FLOP a second of a product of ordinary shape.
    static func productRate() -> Double {
        let workspace = Workspace()
        let (rows, size) = (256, 1024)
        let x = workspace.zeros(rows: rows, columns: size)
        let weight = workspace.zeros(rows: size, columns: size)
        let y = workspace.matrix(rows: rows, columns: size)
        let seconds = time { for _ in 0..<8 { multiply(x, transposed: weight, into: y) } }
        return Double(8 * 2 * rows * size * size) / seconds
    }

    /// The update of `count` weights, with the gradient's norm and its setting to zero.
    static func optimizerSeconds(_ count: Int) -> Double {
        let sample = min(count, 1 << 23)
        let store = ParameterStore([.matrix([("sample", sample / 1024)], columns: 1024)])
        let all = 0..<store.weights.count
        let optimizer = AdamW([all])
        let seconds = time {
            store.zeroGradients()
            _ = GradientClipping.squares(store.gradients, all)
            optimizer.update(store, learningRate: 0, gradientFactor: 1) { _ in }
        }
        return seconds * Double(count) / Double(max(1024, sample / 1024 * 1024))
    }

    /// Bytes a second of an all-reduce among ranks of this machine: each byte is copied about three times.
    static func allReduceRate() -> Double {
        let workspace = Workspace()
        let (from, to) = (workspace.zeros(rows: 4096, columns: 4096), workspace.zeros(rows: 4096, columns: 4096))
        let seconds = time { to.copy(from: from) }
        return Double(4 * from.count) / seconds / 3
    }
}
