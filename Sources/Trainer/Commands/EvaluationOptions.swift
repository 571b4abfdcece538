import Shared

/// Evaluation while training, and what follows from it.
struct EvaluationOptions: Options {
    @Option("Steps (not epochs) between evaluations, beside those at the end of each epoch.", in: 1...)
    var evalInterval: Int?
    @Option(
        "Held-out samples whose loss is measured in each evaluation: evenly from all, and the same ones each time; all if "
            + "left out.", in: 1...)
    var evalLossSamples: Int?
    @Option(
        "Held-out prompts to decode with the draft in each evaluation; 0: the acceptance length is simulated.",
        in: 0...)
    var evalMaxSamples: Int = 16
    @Option("Tokens to decode of each of them.", in: 1...1 << 20) var evalMaxNewTokens: Int = 64
    @Option(
        "Tokens to draft for each verification of these evaluations.", in: 1...SpeculativeDecoding.longestDraft)
    var draftLength: Int = 5
    @Option("Evaluations in a row without a better acceptance length that stop the run; none if left out.", in: 1...)
    var patience: Int?

    /// What only decoding depends on.
    static let ofDecoding = ["--eval-max-new-tokens", "--draft-length"]

    var limits: HeldOutDecoding.Limits {
        HeldOutDecoding.Limits(prompts: evalMaxSamples, newTokens: evalMaxNewTokens, draftLength: draftLength)
    }
}
