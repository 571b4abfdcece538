import Shared

/// `Trainer regenerate`: the target's own answers to a store of prompts, as data for a draft.
enum RegenerateCommand {
    struct Options: Shared.Options {
        static let summary = "Has the target answer prompts itself: the data that a draft of it learns best from."

        var target = TargetOptions()
        @Option("Datasets whose prompts are answered; Preprocess build --prompts built their store.", value: "FILE...")
        var trainDataPath: [String]
        var store = StoreOptions()
        var sampling = SamplingOptions()
        var answers = RegenerationOptions()
        @Option("Records to answer, from the first; all if left out.", in: 1...) var maxSamples: Int?
        @Option("Records that each rank, or group of --tp-size ranks, answers at a time.", in: 1...1 << 16)
        var batchSize: Int = 128
        @Option(
            "Rows of a forward pass, of prompts and answers together; at least --batch-size.", in: 1...1 << 20)
        var batchRows: Int = 512
        @Option(
            "Tokens whose keys and values are in memory at a time; if left out, those of --batch-size records of "
                + "the mean length, and at least those of the longest.", in: 1...)
        var cacheTokens: Int?
        @Option(
            "The longest conversation in tokens, answers included; the target's max_position_embeddings, and at most "
                + "\(longestByDefault), if left out.", in: 2...1 << 24)
        var maxPositions: Int?
        @Flag("Print the report as one JSON object.") var json

        static let longestByDefault = 32_768

        func validate() throws(OptionsError) {
            try answers.validate()
            try sampling.validate()
            if batchRows < batchSize {
                throw .rule(
                    "--batch-rows \(batchRows) is less than --batch-size \(batchSize): each needs a row of a pass")
            }
        }
    }

    static let command = Command("regenerate", Options.self) { options in
        let grid = try Ranks.start(options.target, hasIndependentRows: true)
        let isFirst = grid.world.rank == 0
        let configuration = try ModelConfiguration(directory: options.target.targetModelPath)
        let samples = try options.store.open(
            options.trainDataPath, options.target, holding: .prompts, limit: options.maxSamples)
        let limits = AnswerSequence.Limits(
            sampling: options.sampling, endTokens: samples.endTokens,
            longest: options.maxPositions
                ?? min(configuration.maxPositionEmbeddings, Options.longestByDefault),
            history: samples.answerHistory)
        let job =
            isFirst
            ? try RegenerationJob(
                options.answers, of: options.trainDataPath, settings: options.settings(samples, limits, grid.compute))
            : nil
        let size = try options.size(samples, limits, grid)
        let target = try TargetModelRegistry.load(
            options.target.targetModelPath, communicator: grid.tensorParallel, positions: limits.longest, grid.compute,
            expertParallel: options.target.expertParallel, unpacks: options.target.unpackTarget, world: grid.world,
            beforeReading: { target in
                let shape = target.cacheShape
                let cache = size.pages * shape.pageBytes + size.sequences * shape.stateBytes
                try grid.expectMemory(for: target, besides: cache)
                Log.line(
                    "\(size.sequences) records at a time, keys and values of \(size.pages * KeyValuePages.size) tokens "
                        + "in \(fixed(Double(cache) / 1e9, 2)) GB a rank")
            })
        let workspace = Workspace(grid.compute)
        let batch = ContinuousBatch(target, size, limits, in: workspace)
        let desk = job.map {
            AnswerDesk(
                $0, samples, limits, vocabSize: configuration.vocabSize, groups: grid.dpSize, sequences: size.sequences)
        }
        let before = job.map { $0.written + $0.failed + $0.leftOut } ?? 0
        let bar = Progress("regenerate", total: Double(samples.count), unit: "records", from: Double(before))
        let start = ContinuousClock.now
        let counts = try Regeneration(samples, batch, limits, desk, grid).run { done, tokens in
            let rate = Double(tokens) / max(1e-9, (ContinuousClock.now - start).seconds)
            bar.update(Double(done), note: "\(shortNumber(rate)) tokens/s")
        }
        bar.finish()
        let seconds = (ContinuousClock.now - start).seconds
        Log.line(
            "\(counts.tokens) tokens in \(fixed(seconds, 1)) s, \(fixed(Double(counts.tokens) / max(1e-9, seconds), 1)) "
                + "tokens/s; \(counts.rows) rows, prompts among them")
        grid.logProfile(options.target)
        guard let job else { return }
        let report = try job.finish()
        print(options.json ? report.json.compact : report.text)
    }
}

extension RegenerateCommand.Options {
    /// What answers follow from: neither ranks nor threads, and not how many are made at a time.
    fileprivate func settings(
        _ samples: StoreSamples, _ limits: AnswerSequence.Limits, _ compute: Compute
    ) -> [OptionSetting] {
        samples.settings + sampling.given + [
            OptionSetting(name: "--target-model-path", values: [target.targetModelPath]),
            OptionSetting(name: "--dtype", values: [compute.precision.rawValue]),
            OptionSetting(name: "--max-positions", values: ["\(limits.longest)"]),
        ] + (target.unpackTarget ? [OptionSetting(name: "--unpack-target", values: nil)] : [])
    }

    /// What a batch is made for.
    ///
    /// Collective: call on all ranks.
    /// - Throws: `OptionsError` if --cache-tokens hasn't room for the longest record.
    fileprivate func size(
        _ samples: StoreSamples, _ limits: AnswerSequence.Limits, _ grid: ProcessGrid
    ) throws -> ContinuousBatch.Size {
        var (longest, sum) = (0, 0)
        try grid.world.onFirstRank { beat in
            for index in 0..<samples.count {
                let positions = AnswerSequence.Record(
                    ticket: 0, key: RecordKey(Digest(of: "")), sample: try samples.sample(at: index)
                ).positions(limits)
                longest = max(longest, positions)
                sum += PagedCache.Shape.pages(positions)
                if index % 1024 == 0 { try beat() }
            }
        }
        let numbers = grid.world.sum([longest, sum].map { Double($0) }).map { Int($0) }
        (longest, sum) = (numbers[0], numbers[1])
        let sequences = min(batchSize, max(1, samples.count / grid.dpSize + 1))
        if let cacheTokens {
            guard cacheTokens >= longest else {
                throw OptionsError.rule(
                    "--cache-tokens \(cacheTokens) is less than the \(longest) that the longest record may come to; "
                        + "give it at least as many, or lower --max-positions or --max-new-tokens")
            }
            return .init(
                sequences: sequences, rows: batchRows, pages: PagedCache.Shape.pages(cacheTokens))
        }
        let mean = (sum + samples.count - 1) / samples.count
        return .init(
            sequences: sequences, rows: batchRows, pages: max(PagedCache.Shape.pages(longest), sequences * mean))
    }
}
