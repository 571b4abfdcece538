import Glibc

/// What the draft minimises: `--lk-loss-type`, in SpecForge's words.
///
/// λ falls as the draft is accepted: it learns the target's whole distribution first, then what is accepted. It is one
/// number for each sequence and position, from the mean α of its rows, and no gradient flows through it. SpecForge takes the mean over a micro batch, which is a sequence by default; of a sequence, the loss doesn't
/// depend on how sequences are divided among ranks.
enum DraftObjective: Equatable {
    /// Soft cross-entropy alone.
    case crossEntropy
    /// −log α.
    case alpha
    /// λ times soft cross-entropy plus (1 − λ)(1 − α), with λ = scale e^(−decay mean α).
    case lambda(scale: Float, decay: Float)

    /// What the rows of a position of a sequence minimise.
    ///
    /// - Parameters:
    ///   - rows: How many rows the α of the learnt ones stand for; nil for as many as there are.
    func rowObjective(_ sums: AcceptanceSums.Position, rows: Float?) -> RowObjective {
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

/// What the draft would have accepted, for each sequence of a batch and each position.
struct AcceptanceSums {
    struct Position {
        /// Rows that learn.
        var learnt = 0.0
        /// Σ of their α.
        var acceptance = 0.0
    }

    /// [sequence][position].
    private(set) var positions: [[Position]]

    init(_ labels: DraftLabels) {
        positions = (0..<labels.sequenceCount).map { _ in
            [Position](repeating: Position(), count: labels.positionCount)
        }
    }

    mutating func add(_ label: DraftLabels.Label, _ row: DistillationLoss.Row) {
        positions[label.sequence][label.position].learnt += 1
        positions[label.sequence][label.position].acceptance += Double(row.acceptance)
    }
}
