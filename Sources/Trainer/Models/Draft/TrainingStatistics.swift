import Shared

/// What a step or an evaluation measured, as sums that can be added over batches and ranks.
struct TrainingStatistics {
    /// Per step of training-time test.
    struct Step {
        /// Rows that a supervised token follows.
        var labels = 0.0
        /// Those of them whose most likely target token the draft vocabulary holds; only they are learnt.
        var learnt = 0.0
        /// Σ soft cross-entropy of the learnt rows.
        var loss = 0.0
        /// Σ of what the learnt rows minimise, which is `loss` unless α is weighed.
        var objective = 0.0
        /// Rows whose most likely draft token is the target's.
        var correct = 0.0
        /// Σ of the learnt rows' expected acceptance.
        var acceptance = 0.0
        /// Rows that have a label in this step and all before.
        var prefixes = 0.0
        /// Those of them that are correct in this step and all before.
        var prefixHits = 0.0
    }

    var steps: [Step]

    init(tttLength: Int) { steps = [Step](repeating: Step(), count: tttLength) }

    mutating func add(_ other: TrainingStatistics) {
        precondition(steps.count == other.steps.count)
        numbers = zip(numbers, other.numbers).map(+)
    }

    /// The sum over micro batches and ranks, each number in the order in which samples were dealt.
    ///
    /// - Parameters:
    ///   - own: What this rank measured in each micro batch; all ranks have as many.
    ///   - orders: For each micro batch, the ranks as its samples were dealt to them.
    static func sum(
        _ own: [TrainingStatistics], tttLength: Int, orders: [[Int]], over communicator: any Communicator
    ) -> TrainingStatistics {
        var sum = TrainingStatistics(tttLength: tttLength)
        let (ranks, width) = (communicator.size, sum.numbers.count)
        var all = [Double](repeating: 0, count: own.count * ranks * width)
        for (micro, statistics) in own.enumerated() {
            let place = (micro * ranks + communicator.rank) * width
            all.replaceSubrange(place..<place + width, with: statistics.numbers)
        }
        all = communicator.sum(all)
        for micro in own.indices {
            for rank in orders[micro] {
                let place = (micro * ranks + rank) * width
                sum.numbers = zip(sum.numbers, all[place..<place + width]).map(+)
            }
        }
        return sum
    }

    /// Mean soft cross-entropy of each step, over its learnt rows.
    var losses: [Double] { steps.map { $0.loss / Swift.max(1, $0.learnt) } }

    /// Whether no loss has a NaN or an infinity.
    var isFinite: Bool { steps.allSatisfy { $0.loss.isFinite && $0.objective.isFinite } }

    /// What is minimised: Σ_k decay^k of each step's loss, per label of the first.
    func weightedLoss(decay: Double) -> Double {
        var (sum, weight) = (0.0, 1.0)
        for step in steps {
            sum += weight * step.objective
            weight *= decay
        }
        return sum / Swift.max(1, steps[0].labels)
    }

    /// Share of each step's labels that the draft got right; tokens outside the draft vocabulary count as wrong.
    var accuracies: [Double] { steps.map { $0.correct / Swift.max(1, $0.labels) } }

    /// Accuracy of each step among rows where all steps before were right.
    var conditionalAccuracies: [Double] {
        steps.indices.map { k in
            let before = k == 0 ? steps[0].prefixes : steps[k - 1].prefixHits
            return steps[k].prefixHits / Swift.max(1, before)
        }
    }

    /// Expected acceptance of each step's token, Σ min(p, q), over its labels.
    var acceptanceRates: [Double] { steps.map { $0.acceptance / Swift.max(1, $0.labels) } }

    /// Tokens a verification would give, by greedy drafting along the teacher's text: 1 + Σ_k P(steps 0…k all right).
    ///
    /// From joint counts of whole prefixes, as NeMo Automodel has it, not from the product of the steps' accuracies.
    var simulatedAcceptanceLength: Double {
        1 + steps.reduce(0) { $0 + $1.prefixHits / Swift.max(1, $1.prefixes) }
    }

    private var numbers: [Double] {
        get {
            steps.flatMap {
                [
                    $0.labels, $0.learnt, $0.loss, $0.objective, $0.correct, $0.acceptance, $0.prefixes, $0.prefixHits,
                ]
            }
        }
        set {
            for k in steps.indices {
                let n = newValue[k * 8..<(k + 1) * 8].map { $0 }
                steps[k] = Step(
                    labels: n[0], learnt: n[1], loss: n[2], objective: n[3], correct: n[4], acceptance: n[5],
                    prefixes: n[6], prefixHits: n[7])
            }
        }
    }
}
