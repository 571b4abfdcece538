extension Eagle3Configuration {
    /// Runs by `--preset small` on SmolLM2-135M-Instruct's own answers (Documentation/Recipe.md).
    ///
    /// A hundred held-out prompts of 96 tokens each. The errors of the first two are the third's share of what is accepted.
    static let publishedRuns = [
        PublishedRun(tokens: 122_700, accepted: 0.376, error: 0.016),
        PublishedRun(tokens: 245_400, accepted: 0.451, error: 0.019),
        PublishedRun(tokens: 1_595_000, accepted: 0.695, error: 0.029),
    ]
}
