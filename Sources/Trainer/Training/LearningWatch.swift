import Shared

/// Finds a run that learns nothing: losses and gradients of zero look like perfection in a log.
struct LearningWatch {
    private var steps = 0
    private var labels = 0.0
    private var learnt = 0.0

    /// Adds a step, and warns after the first ones if nothing has been learnt in them.
    mutating func note(_ report: TrainingLoop.StepReport) {
        steps += 1
        labels += report.statistics.labels
        learnt += report.statistics.learnt
        if steps == Self.firstSteps, let reason { Log.warning("nothing is learnt so far: \(reason)") }
    }

    private static let firstSteps = 5

    /// Why nothing has been learnt; nil if something has.
    private var reason: String? {
        guard steps > 0, learnt == 0 else { return nil }
        if labels == 0 {
            return "none of the samples of \(steps) steps has a token that a draft could be asked for: samples of "
                + "one or two tokens, or supervised in their first tokens alone, have none"
        }
        return "the target's likeliest token of all \(Int(labels)) rows is outside the draft vocabulary: use a larger "
            + "--draft-vocab-size, or a store of the same kind of text as the target's answers"
    }

    /// - Throws: `TrainingError` at the end of a run that has learnt nothing.
    func expectSomethingLearnt() throws(TrainingError) {
        if let reason { throw TrainingError(message: "nothing was learnt, the draft is as it began: \(reason)") }
    }
}
