import Shared

/// Evaluation while training, and what follows from it.
struct EvaluationOptions: Options {
    @Option("Steps between evaluations, beside those at the end of each epoch.") var evalInterval: Int?
    @Option("Held-out prompts to decode with the draft in each evaluation; 0: the acceptance length is simulated.")
    var evalMaxSamples: Int = 16
    @Option("Tokens to decode of each of them.") var evalMaxNewTokens: Int = 64
    @Option("Tokens to draft for each verification of these evaluations.") var draftLength: Int = 5
    @Option("Evaluations in a row without a better acceptance length that stop the run; none if left out.")
    var patience: Int?

    func validate() throws(OptionsError) {
        for (name, value) in [
            ("--eval-interval", evalInterval), ("--eval-max-new-tokens", evalMaxNewTokens),
            ("--draft-length", draftLength), ("--patience", patience),
        ] {
            if let value, value < 1 { throw .rule("\(name) must be at least 1") }
        }
        if draftLength > SpeculativeDecoding.longestDraft {
            throw .rule("--draft-length must be at most \(SpeculativeDecoding.longestDraft)")
        }
        if evalMaxSamples < 0 { throw .rule("--eval-max-samples must be at least 0") }
    }

    var limits: HeldOutDecoding.Limits {
        HeldOutDecoding.Limits(prompts: evalMaxSamples, newTokens: evalMaxNewTokens, draftLength: draftLength)
    }
}
