import Glibc

/// What the draft minimises: `--lk-loss-type`, in SpecForge's words.
///
/// λ falls as the draft is accepted: it learns the target's whole distribution first, then what is accepted. It is one
/// number for each sequence and step of training-time test, from the mean α of its rows, and no gradient flows through
/// it. SpecForge takes the mean over a micro batch, which is a sequence by default; of a sequence, the loss doesn't
/// depend on how sequences are divided among ranks.
enum DraftObjective: Equatable {
    /// Soft cross-entropy alone.
    case crossEntropy
    /// −log α.
    case alpha
    /// λ times soft cross-entropy plus (1 − λ)(1 − α), with λ = scale e^(−decay mean α).
    case lambda(scale: Float, decay: Float)

    /// What the rows of a step of a sequence minimise.
    ///
    /// - Parameters:
    ///   - rows: How many rows the α of the learnt ones stand for; nil for as many as there are.
    func rowObjective(_ sums: AcceptanceSums.Step, rows: Float?) -> RowObjective {
        let scale = rows.map { $0 / max(1, Float(sums.learnt)) } ?? 1
        switch self {
        case .crossEntropy: return .crossEntropy
        case .alpha: return .logAcceptance(scale: scale)
        case .lambda(let klScale, let klDecay):
            let weight = klScale * expf(-klDecay * Float(sums.acceptance / max(1, sums.learnt)))
            return .mixed(crossEntropy: weight, rejection: (1 - weight) * scale)
        }
    }

    /// Whether rows must have been measured before they can learn.
    func needsSums(rows: [Float]?) -> Bool {
        switch self {
        case .crossEntropy: false
        case .alpha: rows != nil
        case .lambda: true
        }
    }
}

/// What the draft would have accepted, for each sequence of a batch and each step of training-time test.
struct AcceptanceSums {
    struct Step {
        /// Rows that learn.
        var learnt = 0.0
        /// Σ of their α.
        var acceptance = 0.0
    }

    /// [sequence][step].
    private(set) var steps: [[Step]]

    init(_ plan: TrainingTimeTestPlan) {
        steps = plan.segments.map { _ in [Step](repeating: Step(), count: plan.tttLength) }
    }

    mutating func add(_ label: TrainingTimeTestPlan.Label, _ row: DistillationLoss.Row) {
        steps[label.sequence][label.step].learnt += 1
        steps[label.sequence][label.step].acceptance += Double(row.acceptance)
    }
}
