import Shared

/// Steps of training, each followed by the largest of its products by itself: both see the machine as it is just then.
struct TrainingBenchmark {
    private let loop: TrainingLoop
    private let model: OnlineEagle3
    private let operations: NecessaryOperations

    init(_ options: BenchmarkCommand.Options, _ grid: ProcessGrid) throws {
        let samples = try options.store.open(options.trainDataPath, options.target)
        let setup = try DraftSetup(
            options.target, options.draft, TargetCacheOptions(), grid: grid, positions: samples.longest, seed: 0,
            vocabulary: samples)
        model = setup.model
        operations = NecessaryOperations(
            target: setup.target, draft: setup.configuration.shape, auxiliaryLayers: setup.model.auxiliaryLayers,
            isHeadFrozen: options.draft.freezeLmHead)
        loop = try TrainingLoop(grid: grid, model: setup.model, samples: samples, settings: options.settings)
    }

    /// Runs a step that isn't counted, and then `steps` that are.
    func run(steps: Int) throws -> BenchmarkResult {
        var product = ProductRate(largestProduct(of: try samples(of: loop.run())), loop.grid.compute)
        var (seconds, tokens, needed) = (0.0, 0.0, 0.0)
        for _ in 0..<steps {
            try Interrupt.check()
            let start = ContinuousClock.now
            let report = try loop.run()
            let passed = (ContinuousClock.now - start).seconds
            product.run()
            Log.line("step \(report.step) | \(fixed(passed, 3)) s | \(shortNumber(report.tokens / passed)) tokens/s")
            seconds += passed
            tokens += report.tokens
            let learnt = report.statistics.steps.reduce(0) { $0 + $1.learnt }
            needed += operations.head(learnt: learnt)
            for sample in try samples(of: report) { needed += operations.ofRows(NeededRows(plan([sample]))) }
        }
        return BenchmarkResult(
            steps: steps, seconds: seconds, tokens: tokens, operations: needed, product: product.size,
            productRate: product.rate)
    }

    /// A step's samples, the longest first as they are dealt.
    private func samples(of report: TrainingLoop.StepReport) throws -> [Sample] {
        try report.samples.map(loop.samples.sample(at:)).sorted { $0.inputIDs.count > $1.inputIDs.count }
    }

    private func plan(_ samples: [Sample]) -> TrainingTimeTestPlan {
        TrainingTimeTestPlan(Batch(samples), tttLength: model.tttLength, alignment: model.alignment)
    }

    /// The product of the first micro batch that has the most to do.
    private func largestProduct(of samples: [Sample]) -> ProductRate.Size {
        let plan = plan(Array(samples.prefix(loop.settings.batchSize)))
        let (target, draft) = (operations.target, operations.draft)
        let (rows, active) = (plan.allPositions.count, plan.activeRows.count)
        let pieces = Eagle3DraftModel.pieces(plan)
        let (h, targetHidden) = (draft.hiddenSize, target.configuration.hiddenSize)
        var sizes = [
            (pieces.map(\.labels.count).max() ?? 0, h, draft.draftVocabSize),
            (pieces.map(\.targetRows.count).max() ?? 0, targetHidden, target.configuration.vocabSize),
            (active, h, 2 * draft.intermediateSize), (active, 2 * h, draft.queryWidth + 2 * draft.keyValueWidth),
            (rows, FeatureFusion.featureCount * targetHidden, h),
        ]
        for case .dense(let mlp) in target.layers.prefix(1).map(\.feedForward) {
            sizes.append((rows, targetHidden, mlp.gateUp.weight.rows))
        }
        let products = sizes.map { ProductRate.Size(rows: $0.0, inputs: $0.1, outputs: $0.2) }
        return products.dropFirst().reduce(products[0]) { $1.operations > $0.operations ? $1 : $0 }
    }
}

/// What a benchmark measured, over all its steps.
struct BenchmarkResult {
    let steps: Int
    let seconds: Double
    let tokens: Double
    /// FLOP that the mathematics needs.
    let operations: Double
    let product: ProductRate.Size
    /// FLOP a second.
    let productRate: Double

    var tokensPerSecond: Double { tokens / seconds }

    /// The useful FLOP of a second, as a share of those of the product.
    var utilisation: Double { operations / seconds / productRate }

    var text: String {
        let each = Double(steps)
        return """
            \(fixed(tokensPerSecond, 1)) tokens/s: \(steps) steps of \(fixed(tokens / each, 0)) tokens and \
            \(fixed(seconds / each, 3)) s each
            needed: \(shortNumber(operations / each))FLOP a step, \(shortNumber(operations / seconds))FLOP/s
            largest product, \(product.rows) x \(product.inputs) x \(product.outputs): \
            \(shortNumber(productRate))FLOP/s
            useful utilisation: \(fixed(100 * utilisation, 1))%
            """
    }

    var json: JSONText {
        .object([
            ("steps", .int(steps)), ("seconds", .number(seconds)), ("tokens", .number(tokens)),
            ("tokens_per_second", .number(tokensPerSecond)), ("needed_operations", .number(operations)),
            ("product", .array([product.rows, product.inputs, product.outputs].map(JSONText.int))),
            ("product_operations_per_second", .number(productRate)), ("utilisation", .number(utilisation)),
        ])
    }
}
