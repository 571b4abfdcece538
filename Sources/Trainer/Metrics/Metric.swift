/// A name of `metrics.jsonl` and of TensorBoard's tags.
struct Metric {
    let name: String
    let unit: String
    /// What it is, in a sentence; Documentation/Metrics.md has the same one.
    let meaning: String

    private init(_ name: String, _ unit: String, _ meaning: String) {
        self.name = name
        self.unit = unit
        self.meaning = meaning
    }

    /// "Mean cross-entropy … [nats a token]", for TensorBoard.
    var description: String { unit.isEmpty ? meaning : "\(meaning) [\(unit)]" }

    /// Every name there is.
    static let all: [Metric] = ofDraft + ofTraining + ofHeldOut

    static let byName = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// What both training and held-out samples say of the draft.
    ///
    /// Lists have a number for each position ahead: of EAGLE-3, for each step of training-time test.
    private static let ofDraft = [
        Metric("losses", "nats a token", "Mean cross-entropy with the target's distribution, over the tokens learnt."),
        Metric("accuracies", "share", "Tokens whose likeliest draft token is the target's likeliest token."),
        Metric(
            "conditional_accuracies", "share",
            "The same among rows where all positions before were right: what a verification sees."),
        Metric("acceptance_rates", "share", "Mean of Σ min(p, q): how often a token sampled from the draft is kept."),
        Metric(
            "simulated_acceptance_length", "tokens",
            "1 + Σ of the shares of rows that are right up to each position: a verification's tokens along the text."),
        Metric("supervised_tokens", "tokens", "Tokens that the first position was asked for."),
        Metric(
            "vocabulary_coverage", "share", "Those of them whose likeliest target token the draft's vocabulary has."),
        Metric(
            "cosines", "",
            "With --feature-loss-weight: mean cosine of the draft's last hidden state and the target's, as that loss has it."
        ),
    ]

    private static let ofTraining = [
        Metric("epoch", "epochs", "Passes over the data that are done."),
        Metric("steps", "steps", "Steps that the record is about."),
        Metric("learning_rate", "", "That of the last step."),
        Metric("grad_norm", "", "The gradient's norm before clipping, of the last step; null if it isn't finite."),
        Metric("largest_grad_norm", "", "The largest finite one since the last record."),
        Metric("clipped_steps", "steps", "Steps whose gradient was scaled down to --max-grad-norm."),
        Metric(
            "loss", "nats",
            "What is minimised, the features' part left out: Σ of the losses with their decay, per supervised token."),
        Metric("seconds", "s", "Time of the steps, evaluations and checkpoints left out."),
        Metric("tokens", "tokens", "All tokens of the samples trained on, prompts included, over all ranks."),
        Metric("tokens_per_second", "tokens/s", "tokens / seconds."),
        Metric("phase_seconds", "s", "Where the seconds went, by phase: the mean over all ranks."),
        Metric("skipped_steps", "steps", "Steps that were skipped for a loss or gradient with a NaN or an infinity."),
        Metric("bad_samples", "samples", "Samples that couldn't be read and were left out (--on-bad-sample skip)."),
        Metric("target_cache_hits", "samples", "Where --target-cache is given: samples whose features it had."),
        Metric("target_cache_misses", "samples", "Where it is given: samples whose features were computed."),
        Metric("data_wait_share", "share", "Of the seconds, those in which a step waited for its samples."),
        Metric("peak_memory_bytes", "bytes", "The largest resident set that any rank has had."),
        Metric("save_seconds", "s", "Time that checkpoints took since the last record."),
        Metric("unix_time", "s", "When the record was written, since 1970."),
    ]

    private static let ofHeldOut = [
        Metric("samples", "samples", "Held-out samples whose loss was measured."),
        Metric("evaluation_seconds", "s", "Time that the evaluation took, decoding included."),
        Metric(
            "acceptance_length", "tokens", "Tokens that a verification gave, measured by decoding; if prompts were."),
        Metric(
            "accepted_at", "share",
            "Verifications that accepted the tokens at each position and at all before it; measured."),
        Metric("decoded_prompts", "prompts", "Held-out prompts that were decoded."),
        Metric("decoded_tokens", "tokens", "Tokens that the verifications gave."),
        Metric("decoding_tokens_per_second", "tokens/s", "The same in a second of one data-parallel group."),
        Metric("decoding_seconds", "s", "Time that decoding took, prompts included."),
        Metric("evaluations_since_best", "evaluations", "Evaluations since the best one: what --patience counts."),
    ]
}
