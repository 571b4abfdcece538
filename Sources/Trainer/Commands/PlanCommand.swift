import Shared

/// `Trainer plan`: memory and time of training, before anything is loaded.
enum PlanCommand {
    struct Options: Shared.Options {
        static let summary = "Says what memory a rank of a training run will take, and how long a step."

        var target = TargetOptions()
        @Option("Ranks of the whole run, on this machine.") var ranks: Int?
        @Option("Tokens of a sequence.") var maxLength: Int = 2048
        @Option("The share of tokens that are the assistant's.") var supervisedShare: Float = 1
        var cache = TargetCacheOptions()
        var draft = DraftOptions()
        @Option("Sequences that a rank works on at a time.") var batchSize: Int = 1
        @Option("Sequences of a step over all ranks.") var draftGlobalBatchSize: Int = 8
        @Flag("Print one JSON object.") var json

        func validate() throws(OptionsError) {
            try target.validate()
            try cache.validate()
            try draft.validate()
            for (name, value) in [
                ("--ranks", ranks), ("--max-length", maxLength), ("--batch-size", batchSize),
                ("--draft-global-batch-size", draftGlobalBatchSize),
            ] {
                if let value, value < 1 { throw .rule("\(name) must be at least 1") }
            }
            if !(0...1 ~= supervisedShare) { throw .rule("--supervised-share must be between 0 and 1") }
            if let ranks, !ranks.isMultiple(of: target.tpSize) {
                throw .rule("--ranks \(ranks) must be a multiple of --tp-size \(target.tpSize)")
            }
        }
    }

    static let command = Command("plan", Options.self) { options in
        try Ranks.startAlone(options.target)
        let plan = try TrainingPlan(options)
        print(options.json ? plan.json.compact : plan.text)
    }
}
