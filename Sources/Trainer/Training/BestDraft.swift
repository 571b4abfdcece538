import Shared

/// The best draft of a run so far, by its held-out acceptance length, and how long none was better.
///
/// Acceptance length and not loss: the loss goes on falling where it is learnt how the target hesitates, while fewer
/// drafted tokens are the target's own.
struct BestDraft: Equatable {
    /// Where an acceptance length comes from.
    enum Source: String {
        /// Speculative decoding of held-out prompts.
        case measured
        /// Greedy drafting along the held-out texts: what there is where nothing is decoded.
        case simulated
    }

    private(set) var acceptanceLength: Double?
    private(set) var step = 0
    private(set) var source = Source.simulated
    /// Evaluations since then.
    private(set) var evaluationsSince = 0

    init() {}

    /// Takes in an evaluation.
    ///
    /// Lengths from another source can't be compared with the best one: the first of them is the best of a new series.
    /// - Returns: Whether it is the best so far.
    mutating func note(_ length: Double, _ source: Source, step: Int) -> Bool {
        if let acceptanceLength, source == self.source, length <= acceptanceLength {
            evaluationsSince += 1
            return false
        }
        (acceptanceLength, self.step, self.source, evaluationsSince) = (length, step, source, 0)
        return true
    }

    /// "1.52 measured at step 200".
    var description: String {
        acceptanceLength.map { "\(fixed($0, 3)) \(source.rawValue) at step \(step)" } ?? "not evaluated yet"
    }

    // MARK: - In a checkpoint

    var json: JSONText {
        .object([
            ("acceptance_length", acceptanceLength.map(JSONText.number) ?? .null), ("step", .int(step)),
            ("source", .string(source.rawValue)), ("evaluations_since", .int(evaluationsSince)),
        ])
    }

    init(_ node: JSONNode) throws(JSONError) {
        acceptanceLength = try node["acceptance_length"]?.asDouble()
        step = try node.int("step")
        evaluationsSince = try node.int("evaluations_since")
        let stored = try node.required("source")
        guard let source = Source(rawValue: try stored.asString()) else {
            throw stored.error("should be measured or simulated")
        }
        self.source = source
    }
}
