/// A whole training run, and what came of it: a point of the curve in Documentation/Recipe.md.
struct PublishedRun {
    /// Supervised tokens that it learnt from, each once.
    let tokens: Int
    /// Tokens of five drafted ones that the target accepts a verification, on held-out prompts, and its standard error over
    /// the prompts.
    let accepted: Double
    let error: Double
}
