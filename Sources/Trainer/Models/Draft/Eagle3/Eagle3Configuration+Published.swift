extension Eagle3Configuration {
    /// Runs by `--preset small` on SmolLM2-135M-Instruct's own answers (Documentation/Recipe.md).
    ///
    /// A hundred held-out prompts of 96 tokens each. The last run learnt without the target's hidden state, and says what is
    /// accepted at least.
    static let publishedRuns = [
        PublishedRun(tokens: 122_700, accepted: 0.422, error: 0.016),
        PublishedRun(tokens: 245_400, accepted: 0.512, error: 0.022),
        PublishedRun(tokens: 592_000, accepted: 0.642, error: 0.026),
        PublishedRun(tokens: 1_595_000, accepted: 0.695, error: 0.029),
    ]
}
