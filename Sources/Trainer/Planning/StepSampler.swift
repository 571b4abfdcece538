import Shared

/// Runs small parts of a step and says what the whole will take.
struct StepSampler {
    private let job: TimePlan.Job
    /// FLOP of a sample.
    private let operations: Double
    /// Rows with which products run about as fast as with many: with half of them those of an 8B draft take a seventh longer.
    private static let fewestRows = 512
    /// The most weights of experts that are written, about: more than a cache holds.
    private static let writtenNumbers = 6e7
    private let workspace: Workspace

    init(_ job: TimePlan.Job, operations: Double) {
        (self.job, self.operations) = (job, operations)
        workspace = Workspace(job.compute)
    }

    /// The target's layers over a micro batch.
    func targetSeconds() throws(Interrupted) -> Double {
        let kinds = Dictionary(grouping: job.target.layers.indices) { Kind(job.target.layers[$0]) }
        var seconds = 0.0
        for layers in kinds.values {
            guard let index = layers.first else { continue }
            let layer = job.target.layers[index]
            let budget = operations / Double(kinds.count)
            seconds += Double(layers.count) * (try layerSeconds(layer.withoutExperts, index, budget: budget))
            guard let mixture = layer.mixture else { continue }
            seconds += Double(layers.count) * (try expertSeconds(mixture, budget: budget))
        }
        return seconds
    }

    /// A layer over the rows of a whole group, as the ranks that share it compute each other's.
    private func layerSeconds(_ layer: DecoderLayer, _ index: Int, budget: Double) throws(Interrupted) -> Double {
        let whole = job.sizes.operations(layer)
        let sample = sizes(whole: whole, budget: budget)
        let rows = DecoderRows(Batch((0..<sample.tpSize).flatMap { _ in sample.sequences }))
        let time = try workspace.scope { () throws(Interrupted) in
            let x = noise(rows: sample.groupRows, columns: job.target.configuration.hiddenSize)
            let pass = job.target.pass(x, rows, in: workspace)
            return try Self.time { layer.forward(x, pass, layer: index, in: workspace) }
        }
        return time * whole / sample.operations(layer)
    }

    /// All of a rank's experts over a micro batch: some of them, each with as many rows as in the whole.
    ///
    /// Rows divide among experts by chance, and the fewer an expert has the more it costs to read its weights. So they
    /// have some here: those of a target that is laid out are all one page of zeros, in the cache.
    private func expertSeconds(_ mixture: MixtureOfExperts, budget: Double) throws(Interrupted) -> Double {
        let all = mixture.experts.sorted { $0.key < $1.key }.map(\.value)
        guard let one = all.first else { return 0 }
        let rowsOfEach = Double(job.sizes.groupRows) * mixture.rowsPerExpert
        let affordable = min(budget / (2 * rowsOfEach), Self.writtenNumbers) / Double(one.weightCount)
        let count = min(all.count, max(1, Int(affordable)))
        let (rows, width) = (max(1, Int((rowsOfEach * Double(count)).rounded())), mixture.routing.router.weight.columns)
        let memory = FrozenWeights(job.compute)
        return try workspace.scope { () throws(Interrupted) in
            let some = MixtureOfExperts(
                routing: ExpertRouting(
                    router: ColumnParallelLinear(weight: .float32(chance(rows: width, columns: count)), bias: nil),
                    expertsPerToken: 1, weighting: .softmax(renormalized: true)),
                experts: Dictionary(
                    uniqueKeysWithValues: all.prefix(count).enumerated().map { ($0, $1.sample(in: memory)) }),
                shared: nil)
            let x = chance(rows: rows, columns: width)
            let y = workspace.zeros(rows: rows, columns: width)
            let time = try withExtendedLifetime(memory) { () throws(Interrupted) in
                try Self.time { some.addPart(x, to: y, in: workspace) }
            }
            return time * Double(all.count) / Double(count)
        }
    }

    /// The draft, forward and backward, and the distributions that it learns: its `trial`, with fewer rows.
    ///
    /// A micro batch has work that doesn't depend on its rows: weights are rounded, their gradients added up. In a large
    /// draft that takes longer than the few rows that are affordable here, so two numbers of rows are run.
    func draftSeconds() throws(Interrupted) -> Double {
        let trial = job.draft.trial
        guard let longest = trial.drafts.last else { return 0 }
        let affordable = sizes(whole: operations(longest, job.sizes), budget: operations).length
        let length = min(job.sizes.length, max(Self.fewestRows, affordable))
        func run(_ length: Int) throws(Interrupted) -> Sampled {
            let sample = StepSizes(sequences: 1, length: length, supervised: 1, tpSize: job.sizes.tpSize)
            let times = try trial.drafts.map { draft throws(Interrupted) in try draftSeconds(draft, sample) }
            return Sampled(operations: operations(job.draft, sample), seconds: trial.seconds(times))
        }
        let (long, whole) = (try run(length), operations(job.draft, job.sizes))
        guard whole > 1.5 * long.operations else { return long.seconds * whole / long.operations }
        return Sampled.line(from: try run(length / 2), to: long, at: whole)
    }

    /// A part of the arithmetic and the time that it took.
    struct Sampled {
        var operations: Double
        var seconds: Double

        /// Seconds of the whole: those that any part takes, and for the arithmetic as many as the longer part took more.
        ///
        /// - Parameter whole: FLOP.
        static func line(from short: Sampled, to long: Sampled, at whole: Double) -> Double {
            let slope = (long.seconds - short.seconds) / (long.operations - short.operations)
            // No part takes less than nothing, whatever the system did meanwhile.
            let steepest = long.seconds / long.operations
            let rate = slope > 0 ? min(slope, steepest) : steepest
            return long.seconds + rate * (whole - long.operations)
        }
    }

    private func operations(_ draft: any DraftModel, _ sizes: StepSizes) -> Double {
        sizes.operations(draft, job.target, job.compute)
    }

    private func draftSeconds(_ draft: any DraftModel, _ sample: StepSizes) throws(Interrupted) -> Double {
        let hiddenSize = job.target.configuration.hiddenSize
        let teacher = CompactTeacher(job.target, draftToTarget: (0..<Int32(job.draftVocabSize)).map { $0 })
        return try workspace.scope { () throws(Interrupted) in
            let appended = sample.sequences.count * draft.appendedTokens.count
            let lesson = Lesson(
                teacher: teacher, sequences: (0..<sample.tpSize).map { _ in sample.sequences },
                features: noise(rows: sample.rows, columns: job.targetLayers * hiddenSize),
                embedding: noise(rows: sample.rows + appended, columns: hiddenSize),
                targetHidden: noise(rows: sample.rows, columns: hiddenSize))
            return try Self.time {
                _ = draft.learn(lesson, weights: LossWeights(sequences: [1e-6]), in: workspace)
            }
        }
    }

    /// One sequence, of as many tokens as the budget of arithmetic allows.
    private func sizes(whole: Double, budget: Double) -> StepSizes {
        let rows = Int(budget / whole * Double(job.sizes.rows))
        return StepSizes(
            sequences: 1, length: min(max(1, job.sizes.length), max(16, rows)), supervised: 1,
            tpSize: job.sizes.tpSize)
    }

    private func noise(rows: Int, columns: Int) -> Matrix {
        let matrix = workspace.matrix(rows: rows, columns: columns)
        for row in 0..<rows {
            for column in 0..<columns { matrix[row, column] = Float((row * 31 + column * 17) % 61 - 30) }
        }
        return matrix
    }

    /// Numbers between ±1, each by chance.
    private func chance(rows: Int, columns: Int) -> Matrix {
        let matrix = workspace.matrix(rows: rows, columns: columns)
        var random = SplitMix64(seed: UInt64(rows))
        for row in 0..<rows {
            for column in 0..<columns { matrix[row, column] = Float(random.below(2001)) / 1000 - 1 }
        }
        return matrix
    }

    /// Layers that take the same time.
    private struct Kind: Hashable {
        let span: AttentionSpan
        let heads: Int
        let state: Int
        let experts: Int
        /// Of products with weights.
        let weights: Int

        init(_ layer: DecoderLayer) {
            span = layer.heads?.attention.span ?? .full
            heads = layer.heads?.width ?? 0
            state = if case .recurrent(let mixer) = layer.mixer { mixer.stateCount } else { 0 }
            experts = layer.mixture?.routing.expertCount ?? 0
            weights = Int(layer.multipliedWeights)
        }
    }
}

extension DecoderLayer {
    /// The layer with its router and its shared expert alone, if it has experts.
    fileprivate var withoutExperts: DecoderLayer {
        guard let mixture else { return self }
        let rest = MixtureOfExperts(
            routing: mixture.routing, experts: [:], shared: mixture.shared, sharedGate: mixture.sharedGate)
        return DecoderLayer(
            mixer: mixer, feedForward: feedForward.with(rest), mixerNorms: mixerNorms,
            feedForwardNorms: feedForwardNorms,
            isParallel: isParallel, residualScale: residualScale, perLayerInput: perLayerInput,
            outputScale: outputScale,
            communicator: communicator)
    }

    /// Its experts, if it has any.
    fileprivate var mixture: MixtureOfExperts? {
        switch feedForward {
        case .experts(let mixture): mixture
        case .both(let both): both.mixture
        case .dense, .none: nil
        }
    }
}

extension DecoderLayer.FeedForward {
    /// The same with other experts.
    fileprivate func with(_ mixture: MixtureOfExperts) -> DecoderLayer.FeedForward {
        switch self {
        case .none, .dense: self
        case .experts: .experts(mixture)
        case .both(let both):
            .both(
                DenseAndExperts(
                    mlp: both.mlp, mixture: mixture, outputNorm: both.outputNorm, expertInputNorm: both.expertInputNorm,
                    routerNorm: both.routerNorm, expertOutputNorm: both.expertOutputNorm))
        }
    }
}

extension StepSampler {
    /// The median of as many runs as take a third of a second, three if that is less than three seconds, after a first one
    /// that finds memory cold: one in which the system gave the cores to another process counts no more than the others.
    ///
    /// - Throws: `Interrupted` between two runs.
    private static func time(_ body: () -> Void) throws(Interrupted) -> Double {
        body()
        let start = ContinuousClock.now
        var last = start
        var seconds: [Double] = []
        while seconds.isEmpty || ((seconds.count < 3 || (last - start).seconds < 0.3) && (last - start).seconds < 3) {
            try Interrupt.check()
            body()
            let now = ContinuousClock.now
            seconds.append((now - last).seconds)
            last = now
        }
        return seconds.sorted()[seconds.count / 2]
    }

    /// FLOP a second of a product of ordinary shape.
    static func productRate(_ compute: Compute) throws(Interrupted) -> Double {
        let workspace = Workspace(compute)
        let (rows, size) = (256, 1024)
        let x = workspace.zeros(rows: rows, columns: size)
        let weight = workspace.zeros(rows: size, columns: size)
        let y = workspace.matrix(rows: rows, columns: size)
        let rounded = workspace.bfloat16(rows: size, columns: size)
        rounded.round(weight)
        let seconds = try time {
            for _ in 0..<8 {
                switch compute.precision {
                case .float32: multiply(x, transposed: weight, into: y)
                case .bfloat16: multiply(x, transposed: rounded, into: y)
                }
            }
        }
        return Double(8 * 2 * rows * size * size) / seconds
    }

    /// The update of `count` weights, with the gradient's norm and its setting to zero.
    static func optimizerSeconds(_ count: Int, _ compute: Compute) throws(Interrupted) -> Double {
        let sample = min(count, 1 << 23)
        let store = ParameterStore([.matrix([("sample", sample / 1024)], columns: 1024)], compute)
        let all = 0..<store.weights.count
        let optimizer = AdamW([all], AdamW.Settings(), compute)
        let seconds = try time {
            store.zeroGradients()
            _ = GradientClipping.squares(store, [all])
            optimizer.update(store, learningRate: 0, gradientFactor: 1) { _ in }
        }
        return seconds * Double(count) / Double(max(1024, sample / 1024 * 1024))
    }

    /// All matrices of the rank of which they take the longest: one of the largest's shape is run, or a smaller one.
    static func orthogonalizationSeconds(_ tensors: [Muon.Tensor], _ compute: Compute) throws(Interrupted) -> Double {
        guard let largest = tensors.max(by: { $0.work < $1.work }) else { return 0 }
        // Smaller ones reach less of a large one's rate: of a side of 2,048 a tenth less than of 4,096.
        let scale = max(1, Double(min(largest.rows, largest.columns)) / 4096)
        let (rows, columns) = (Int(Double(largest.rows) / scale), Int(Double(largest.columns) / scale))
        let workspace = Workspace(compute)
        let matrix = workspace.zeros(rows: rows, columns: columns)
        for row in 0..<rows { matrix[row, row % columns] = 1 }
        let seconds = try time {
            workspace.scope { _ = Orthogonalization.orthogonalize(matrix, in: workspace) }
        }
        let work = tensors.reduce(into: [Int: Double]()) { $0[$1.owner, default: 0] += $1.work }.values.max() ?? 0
        return seconds * work / Orthogonalization.work(rows: rows, columns: columns)
    }

    /// Bytes a second of an all-reduce among ranks of this machine: each byte is copied about three times.
    static func allReduceRate(_ compute: Compute) throws(Interrupted) -> Double {
        let workspace = Workspace(compute)
        let (from, to) = (workspace.zeros(rows: 4096, columns: 4096), workspace.zeros(rows: 4096, columns: 4096))
        let seconds = try time { to.copy(from: from) }
        return Double(4 * from.count) / seconds / 3
    }
}

extension GatedMLP {
    /// One of the same form, whose weights are somebody's own.
    fileprivate func sample(in memory: FrozenWeights) -> GatedMLP {
        GatedMLP(
            gateUp: ColumnParallelLinear(weight: memory.sample(like: gateUp.weight), bias: gateUp.bias),
            down: RowParallelLinear(weight: memory.sample(like: down.weight), bias: down.bias), gate: gate)
    }
}
