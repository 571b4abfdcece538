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
        @Option(
            "Draft trees too, as SGLang does by --speculative-eagle-topk, -num-steps and -num-draft-tokens, and report how "
                + "much of them is accepted; only for drafts that draft token by token.")
        var draftTree: DraftTree.Shape?
        @Option(
            "Temperature by which the target's tokens are drawn, those of speculative and of plain decoding by the same "
                + "numbers; 0 always takes the most probable token.", in: 0...100)
        var temperature: Float = 0
        @Option("Sample from the fewest tokens whose probabilities sum to this.", in: .above(0, through: 1))
        var topP: Float = 1
        @Option("Sample from that many most probable tokens; 0 for all.", in: 0...1 << 24) var topK = 0
        @Option("Sample from tokens of at least this share of the greatest probability.", in: 0...1)
        var minP: Float = 0
        @Option("Seed of sampling; each prompt has its own by it.", in: 0...Int.max) var seed = 0
        var own = DraftRegistry.standard.measuringOptions()
        @Option("The architecture of a draft of random weights.", value: "NAME") var draftArchitecture: String?
        @Option(
            "Tokens that a draft of random weights knows; the architecture's default, as 32000, if left out.",
            in: ModelConfiguration.vocabSizes)
        var draftVocabSize: Int?
        @Flag("Print the report as one JSON object.") var json
        @Option("Where to write a page with everything.", value: "FILE") var html: String?
        @Option("Where to write a line of JSON for each decoded prompt.", value: "FILE") var samplesOutput: String?
        @Flag("Write what is accepted to the draft's acceptance.json, as training does of its evaluations.")
        var saveReference
        @Flag(
            "Compare with the draft's acceptance.json: the same prompts, tokens and draft length as there. Fails if what is "
                + "accepted differs by more than --tolerance.")
        var check
        @Option("By how much of what is accepted it may differ.", in: 0...10) var tolerance: Float = 0.03

        func validate() throws(OptionsError) {
            if saveReference || check, draftModelPath == nil {
                throw .rule("--save-reference and --check need --draft-model-path, whose acceptance.json it is")
            }
            if saveReference, check { throw .rule("--save-reference and --check exclude each other") }
            if check, let option = changed.first(where: { Self.setByReference.contains($0.name) }) {
                throw .rule("\(option.name) has no effect beside --check: acceptance.json has it")
            }
            if !check, changed.contains(where: { $0.name == "--tolerance" }) {
                throw .rule("--tolerance has no effect without --check")
            }
            if temperature == 0, let option = changed.first(where: { SamplingOptions.ofDrawing.contains($0.name) }) {
                throw .rule("\(option.name) has no effect without --temperature above 0")
            }
            if temperature > 0, saveReference || check {
                throw .rule(
                    "acceptance.json is of greedy decoding: leave out --temperature beside --save-reference and --check"
                )
            }
            for group in own { try group.validate() }
            if draftArchitecture != nil || draftVocabSize != nil, draftModelPath != nil {
                throw .rule("--draft-architecture and --draft-vocab-size have no effect beside --draft-model-path")
            }
        }
    }

    static let command = Command("evaluate", Options.self) { options in
        let grid = try Ranks.start(options.target)
        let reference = options.check ? try options.draftModelPath.map(AcceptanceReference.init(draft:)) : nil
        let evaluation = try Evaluation(options, grid, reference)
        let report = try evaluation.run()
        grid.logProfile(options.target)
        guard grid.world.rank == 0 else { return }
        print(options.json ? report.json.compact : report.text)
        if let path = options.samplesOutput {
            try writeFile(path, report.samples(promptIDs: evaluation.samples.prompt(at:)).utf8)
            Log.line("wrote \(path)")
        }
        if let path = options.html {
            let page = EvaluationPage(
                report: report, draft: options.draftModelPath ?? "a draft of random weights",
                target: options.target.targetModelPath)
            try writeFile(path, page.html.utf8)
            Log.line("wrote \(path)")
        }
        let differing = report.decoding.differing
        guard differing.isEmpty else {
            throw TrainingError(
                message: "speculative decoding gave other tokens than plain decoding for samples \(differing)")
        }
        try options.finish(report.reference, reference)
    }
}

extension EvaluateCommand.Options {
    var sampling: Sampling { Sampling(temperature: temperature, topP: topP, topK: topK, minP: minP) }

    fileprivate static let setByReference = ["--max-samples", "--max-new-tokens", "--draft-length"]

    /// Keeps what was measured, or compares it.
    fileprivate func finish(_ found: AcceptanceReference?, _ reference: AcceptanceReference?) throws {
        guard saveReference || check, let directory = draftModelPath else { return }
        guard var found else { throw TrainingError(message: "no sample has a prompt: there is nothing to compare") }
        found.weights = try AcceptanceReference.weights(of: directory)
        let path = "\(directory)/\(AcceptanceReference.fileName)"
        guard let reference else {
            try writeFile(path, found.json.pretty.utf8)
            return Log.line("wrote \(path)")
        }
        guard found.promptsDigest == reference.promptsDigest else {
            throw TrainingError(
                message:
                    "\(path): the prompts' digest is \(found.promptsDigest), should be \(reference.promptsDigest): "
                    + "give --eval-data-path the data that it was measured on")
        }
        guard let difference = reference.difference(from: found, tolerance: Double(tolerance)) else {
            return Log.line("acceptance is what \(path) says")
        }
        let cause =
            found.weights == reference.weights
            ? "the weights are the same, so it is the target or how it is computed: then \(reference.products), now "
                + found.products
            : "its weights are other ones than then"
        throw TrainingError(message: "\(directory): \(difference); \(cause)")
    }
}
