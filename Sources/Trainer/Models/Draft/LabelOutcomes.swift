/// What became of each label of a batch.
struct LabelOutcomes {
    private enum Outcome { case none, wrong, correct }

    private let positionCount: Int
    /// [round][position].
    private var outcomes: [Outcome]
    private var sums: TrainingStatistics

    init(_ labels: DraftLabels) {
        positionCount = labels.positionCount
        outcomes = [Outcome](repeating: .none, count: labels.roundCount * positionCount)
        sums = TrainingStatistics(positions: positionCount)
        // A label that isn't recorded later is of a token that the draft doesn't know: wrong.
        for label in labels.all {
            outcomes[label.round * positionCount + label.position] = .wrong
            sums.positions[label.position].labels += 1
        }
    }

    mutating func record(_ label: DraftLabels.Label, _ row: DistillationLoss.Row, isCorrect: Bool) {
        if isCorrect { outcomes[label.round * positionCount + label.position] = .correct }
        sums.positions[label.position].learnt += 1
        sums.positions[label.position].loss += Double(row.loss)
        sums.positions[label.position].objective += Double(row.objective)
        sums.positions[label.position].correct += isCorrect ? 1 : 0
        sums.positions[label.position].acceptance += Double(row.acceptance)
    }

    /// - Parameter cosines: Of each label, by `FeatureAlignment`.
    mutating func record(_ labels: [DraftLabels.Label], cosines: [Float?]) {
        for (label, cosine) in zip(labels, cosines) {
            guard let cosine else { continue }
            sums.positions[label.position].aligned += 1
            sums.positions[label.position].cosine += Double(cosine)
        }
    }

    var statistics: TrainingStatistics {
        var result = sums
        for first in stride(from: 0, to: outcomes.count, by: positionCount) {
            var isHit = true
            for k in 0..<positionCount {
                guard outcomes[first + k] != .none else { break }
                isHit = isHit && outcomes[first + k] == .correct
                result.positions[k].prefixes += 1
                result.positions[k].prefixHits += isHit ? 1 : 0
            }
        }
        return result
    }
}
