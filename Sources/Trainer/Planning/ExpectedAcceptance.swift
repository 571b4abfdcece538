import Glibc

/// How many of five drafted tokens a target may accept in a verification, by what published runs came to.
///
/// Between two runs it grows with the logarithm of the number of supervised tokens; beyond them nothing is known but that more
/// data doesn't harm.
struct ExpectedAcceptance: Equatable {
    /// What is likely: two standard errors on either side.
    let low: Double
    let high: Double
    let bound: Bound

    enum Bound: Equatable {
        case within
        /// Fewer tokens than any run's, or more.
        case below
        case above
    }

    /// - Parameter runs: From the fewest tokens to the most.
    /// - Returns: Nil if there are no runs.
    init?(_ runs: [PublishedRun], tokens: Double) {
        guard let first = runs.first, let last = runs.last else { return nil }
        let point: (accepted: Double, error: Double)
        if tokens < Double(first.tokens) {
            (point, bound) = ((first.accepted, first.error), .below)
        } else if tokens > Double(last.tokens) {
            (point, bound) = ((last.accepted, last.error), .above)
        } else {
            let after = runs.firstIndex { Double($0.tokens) >= tokens } ?? 0
            let (low, high) = (runs[max(0, after - 1)], runs[after])
            let width = log(Double(high.tokens) / Double(low.tokens))
            let share = width > 0 ? log(tokens / Double(low.tokens)) / width : 1
            point = (
                low.accepted + share * (high.accepted - low.accepted), low.error + share * (high.error - low.error)
            )
            bound = .within
        }
        low = max(0, point.accepted - 2 * point.error)
        high = point.accepted + 2 * point.error
    }
}
