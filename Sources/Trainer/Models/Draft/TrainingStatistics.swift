import Shared

/// What a step or an evaluation measured, as sums that can be added over batches and ranks.
struct TrainingStatistics: Summable {
    /// One position ahead.
    struct Position: Summable {
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
        /// Rows that have a label at this position and all before.
        var prefixes = 0.0
        /// Those of them that are correct at this position and all before.
        var prefixHits = 0.0
        /// Rows that learn the target's hidden state too.
        var aligned = 0.0
        /// Σ of their cosines with it.
        var cosine = 0.0

        mutating func visitNumbers(_ visit: NumberVisitor) {
            visit(&labels)
            visit(&learnt)
            visit(&loss)
            visit(&objective)
            visit(&correct)
            visit(&acceptance)
            visit(&prefixes)
            visit(&prefixHits)
            visit(&aligned)
            visit(&cosine)
        }
    }

    var positions: [Position]

    /// Zero.
    ///
    /// - Parameter positions: How many the draft learns.
    init(positions: Int) { self.positions = [Position](repeating: Position(), count: positions) }

    mutating func visitNumbers(_ visit: NumberVisitor) { visit(&positions) }

    /// The sum over micro batches and ranks, each number in the order in which samples were dealt.
    ///
    /// - Parameters:
    ///   - own: What this rank measured in each micro batch; all ranks have as many.
    ///   - orders: For each micro batch, the ranks as its samples were dealt to them.
    static func sum(
        _ own: [TrainingStatistics], positions: Int, orders: [[Int]], over communicator: any Communicator
    ) -> TrainingStatistics {
        var sum = TrainingStatistics(positions: positions)
        let (ranks, width) = (communicator.size, sum.numbers.count)
        var all = [Double](repeating: 0, count: own.count * ranks * width)
        for (micro, statistics) in own.enumerated() {
            let offset = (micro * ranks + communicator.rank) * width
            all.replaceSubrange(offset..<offset + width, with: statistics.numbers)
        }
        all = communicator.sum(all)
        for micro in own.indices {
            for rank in orders[micro] {
                let offset = (micro * ranks + rank) * width
                sum.numbers = zip(sum.numbers, all[offset..<offset + width]).map(+)
            }
        }
        return sum
    }

    /// Mean soft cross-entropy at each position, over its learnt rows.
    var losses: [Double] { positions.map { $0.loss / Swift.max(1, $0.learnt) } }

    /// Whether no loss has a NaN or an infinity.
    var isFinite: Bool { positions.allSatisfy { $0.loss.isFinite && $0.objective.isFinite } }

    /// Labels and those of them that are learnt, of all positions.
    var labels: Double { positions.reduce(0) { $0 + $1.labels } }
    var learnt: Double { positions.reduce(0) { $0 + $1.learnt } }

    /// Σ of what each position's rows minimise, weighted, per label of the first.
    func weightedLoss(_ weights: [Double]) -> Double {
        zip(weights, positions).reduce(0) { $0 + $1.0 * $1.1.objective } / Swift.max(1, positions[0].labels)
    }

    /// Share of each position's labels that the draft got right; tokens outside the draft vocabulary count as wrong.
    var accuracies: [Double] { positions.map { $0.correct / Swift.max(1, $0.labels) } }

    /// Accuracy at each position among rows where all before were right.
    var conditionalAccuracies: [Double] {
        positions.indices.map { k in
            let before = k == 0 ? positions[0].prefixes : positions[k - 1].prefixHits
            return positions[k].prefixHits / Swift.max(1, before)
        }
    }

    /// Expected acceptance of each position's token, Σ min(p, q), over its labels.
    var acceptanceRates: [Double] { positions.map { $0.acceptance / Swift.max(1, $0.labels) } }

    /// Mean cosine with the target's hidden state at each position; nil where nothing learns it.
    var cosines: [Double]? {
        positions.contains { $0.aligned > 0 } ? positions.map { $0.cosine / Swift.max(1, $0.aligned) } : nil
    }

    /// Tokens a verification would give, by greedy drafting along the teacher's text: 1 + Σ_k P(positions 0…k all
    /// right).
    ///
    /// From joint counts of whole prefixes, as NeMo Automodel has it, not from the product of the accuracies.
    var simulatedAcceptanceLength: Double {
        1 + positions.reduce(0) { $0 + $1.prefixHits / Swift.max(1, $1.prefixes) }
    }
}
