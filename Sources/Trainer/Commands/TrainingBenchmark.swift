import Shared

/// Steps of training, each followed by the largest of its products by itself: both see the machine as it is just then.
struct TrainingBenchmark {
    private let loop: TrainingLoop
    private let setup: DraftSetup
    private let operations: NecessaryOperations

    init(_ options: BenchmarkCommand.Options, _ grid: ProcessGrid) throws {
        let samples = try options.store.open(options.trainDataPath, options.target)
        setup = try DraftSetup(
            options.target, options.draft, DraftSource(options.target, options.draft), TargetCacheOptions(), grid: grid,
            positions: samples.longest, options.settings, seed: 0, vocabulary: samples)
        operations = NecessaryOperations(
            target: setup.target, draft: setup.model.draft, targetLayers: setup.model.targetLayers)
        loop = try TrainingLoop(grid: grid, model: setup.model, samples: samples, settings: options.settings)
    }

    /// Runs a step that isn't counted, and then `steps` that are.
    func run(steps: Int) throws -> BenchmarkResult {
        var product = ProductRate(largestProduct(of: try sequences(of: loop.run())), loop.grid.compute)
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
            needed += operations.head(learnt: report.statistics.learnt)
            for sequence in try sequences(of: report) { needed += operations.count(sequence) }
        }
        return BenchmarkResult(
            steps: steps, seconds: seconds, tokens: tokens, operations: needed, product: product.size,
            productRate: product.rate)
    }

    /// A step's sequences, the longest first as they are dealt.
    private func sequences(of report: TrainingLoop.StepReport) throws -> [TrainingSequence] {
        try report.samples.map { index in
            TrainingSequence(
                sample: try loop.samples.sample(at: index),
                seed: loop.sampler.sampleSeed(step: report.step - 1, sample: index))
        }.sorted { $0.length > $1.length }
    }

    /// The product of the first micro batch that has the most to do.
    private func largestProduct(of sequences: [TrainingSequence]) -> ProductSize {
        let target = setup.target
        let batch = Array(sequences.prefix(loop.settings.batchSize))
        let rank = PlannedRank(
            tpSize: 1, targetHiddenSize: target.configuration.hiddenSize, vocabularyCount: target.vocabulary.count,
            compute: loop.grid.compute)
        var products = setup.model.draft.workload(batch, on: rank).products
        for case .dense(let mlp) in target.layers.prefix(1).map(\.feedForward) {
            products.append(
                ProductSize(
                    rows: batch.reduce(0) { $0 + $1.length }, inputs: target.configuration.hiddenSize,
                    outputs: mlp.gateUp.weight.rows))
        }
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
    let product: ProductSize
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
