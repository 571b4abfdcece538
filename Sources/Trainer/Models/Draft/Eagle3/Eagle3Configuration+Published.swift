extension Eagle3Configuration {
    /// Runs by `--preset small` on SmolLM2-135M-Instruct's own answers (Documentation/Recipe.md).
    ///
    /// A hundred held-out prompts of 96 tokens each. The last one is the first of six passes, whose rate had hardly fallen, and
    /// says what is accepted at least.
    static let publishedRuns = [
        PublishedRun(tokens: 122_700, accepted: 0.422, error: 0.016),
        PublishedRun(tokens: 245_400, accepted: 0.513, error: 0.020),
        PublishedRun(tokens: 592_000, accepted: 0.722, error: 0.030),
        PublishedRun(tokens: 1_613_000, accepted: 0.850, error: 0.034),
    ]
}
