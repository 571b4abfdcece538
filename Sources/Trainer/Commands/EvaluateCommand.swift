import Shared

/// `Trainer evaluate`: held-out loss, and real speculative decoding beside plain decoding.
enum EvaluateCommand {
    struct Options: Shared.Options {
        static let summary =
            "Measures a draft: held-out accuracy, and speculative decoding whose output must be the same."

        var target = TargetOptions()
        @Option("The draft: a checkpoint's directory; a draft of random weights if left out.", value: "DIR")
        var draftModelPath: String?
        @Option("Datasets to evaluate on, whose store Preprocess built.", value: "FILE...") var evalDataPath: [String]
        var store = StoreOptions()
        @Option("Samples to evaluate; all if left out.", in: 1...) var maxSamples: Int?
        @Option("Tokens to decode of each sample.", in: 1...1 << 20) var maxNewTokens: Int = 96
        @Option("Tokens to draft for each verification.", in: 1...SpeculativeDecoding.longestDraft)
        var draftLength: Int = 5
        var own = DraftRegistry.standard.measuringOptions()
        @Option("The architecture of a draft of random weights.", value: "NAME") var draftArchitecture: String?
        @Option(
            "Tokens that a draft of random weights knows; the architecture's default, as 32000, if left out.",
            in: ModelConfiguration.vocabSizes)
        var draftVocabSize: Int?
        @Flag("Print the report as one JSON object.") var json
        @Option("Where to write a line of JSON for each decoded prompt.", value: "FILE") var samplesOutput: String?

        func validate() throws(OptionsError) {
            for group in own { try group.validate() }
            if draftArchitecture != nil || draftVocabSize != nil, draftModelPath != nil {
                throw .rule("--draft-architecture and --draft-vocab-size have no effect beside --draft-model-path")
            }
        }
    }

    static let command = Command("evaluate", Options.self) { options in
        let grid = try Ranks.start(options.target)
        let evaluation = try Evaluation(options, grid)
        let report = try evaluation.run()
        grid.logProfile(options.target)
        guard grid.world.rank == 0 else { return }
        print(options.json ? report.json.compact : report.text)
        if let path = options.samplesOutput {
            try writeFile(path, report.samples(promptIDs: evaluation.samples.prompt(at:)).utf8)
            Log.line("wrote \(path)")
        }
        let differing = report.decoding.differing
        guard differing.isEmpty else {
            throw TrainingError(
                message: "speculative decoding gave other tokens than plain decoding for samples \(differing)")
        }
    }
}
