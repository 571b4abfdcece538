import Shared

/// `Trainer plan`: memory and time of training, before anything is loaded.
enum PlanCommand {
    struct Options: Shared.Options {
        static let summary =
            "Says what memory a rank of a training run will take, and how long a step; of the target config.json is enough."

        var target = TargetOptions()
        @Option("Ranks of the whole run, on this machine.", in: 1...1 << 20) var ranks: Int?
        @Option(
            "Hosts of the run instead of this machine: 8x2x32:512:rates.json are 8 hosts of 2 ranks of 32 threads and 512 "
                + "GB each, as fast as measure --json says in rates.json; or a file of such lines.",
            value: "FILE|COUNTxRANKSxTHREADS[:MEMORY_GB[:RATES]]...")
        var hosts: [String] = []
        @Option("Tokens of a sequence.", in: 1...1 << 24) var maxLength: Int = 2048
        @Option("The share of tokens that are the assistant's.", in: 0...1) var supervisedShare: Float = 1
        var cache = TargetCacheOptions()
        var draft = DraftOptions()
        @Option(TrainingPreset.help) var preset: TrainingPreset = .auto
        @Option(
            "Conversations of the data, by which --preset auto chooses and a pass over them is planned; specforge if left out.",
            in: 1...1 << 40)
        var samples: Int?
        @Option("Sequences that a rank works on at a time.", alias: "--draft-micro-batch-size", in: 1...1 << 20)
        var batchSize: Int = 1
        @Option("Sequences of a step over all ranks.", in: 1...1 << 20) var draftGlobalBatchSize: Int = 8
        @Option("What updates weights, as in training.") var optimizer: OptimizerKind = .adamw
        @Option("Held-out prompts that evaluations of the run decode, of up to --max-length tokens.", in: 0...)
        var evalMaxSamples: Int = 0
        @Option("Tokens to decode of each of them.", in: 1...1 << 20) var evalMaxNewTokens: Int = 64
        @Option("Tokens to draft for each verification.", in: 1...SpeculativeDecoding.longestDraft)
        var draftLength: Int = 5
        @Flag("Print one JSON object.") var json

        var decoding: HeldOutDecoding.Limits {
            HeldOutDecoding.Limits(prompts: evalMaxSamples, newTokens: evalMaxNewTokens, draftLength: draftLength)
        }

        func validate() throws(OptionsError) {
            try draft.validate()
            try cache.validate()
            if evalMaxSamples == 0,
                let option = changed.first(where: { EvaluationOptions.ofDecoding.contains($0.name) })
            {
                throw .rule("\(option.name) has no effect without --eval-max-samples")
            }
            if !hosts.isEmpty, ranks != nil || target.numThreads != nil {
                throw .rule("--hosts says how many ranks and threads there are: leave out --ranks and --num-threads")
            }
            if let ranks, !ranks.isMultiple(of: target.tpSize) {
                throw .rule("--ranks \(ranks) must be a multiple of --tp-size \(target.tpSize)")
            }
        }
    }

    static let command = Command("plan", Options.self) { options in
        let plan = try TrainingPlan(options, Ranks.startAlone(options.target))
        print(options.json ? plan.json.compact : plan.text)
    }
}
