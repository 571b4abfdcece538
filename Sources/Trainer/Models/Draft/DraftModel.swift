import Shared

/// A draft that learns by training-time test: what the training loop and the decoder need of one.
///
/// Every architecture is a file that conforms and a line in `DraftModelRegistry`.
protocol DraftModel {
    /// All weights, by their names in a checkpoint.
    var parameters: ParameterStore { get }

    /// Runs all steps over a batch and, if `weights` are given, adds to every gradient.
    ///
    /// - Parameters:
    ///   - lesson: What there is to learn; collective in its teacher's group.
    ///   - weights: How much the sequences count; nil to measure only.
    func learn(
        _ features: DraftFeatures, _ lesson: Lesson, weights: LossWeights?, in workspace: Workspace
    ) -> TrainingStatistics

    /// Writes first weights: by a seed, the same on every rank.
    func initialize(seed: UInt64)

    /// Takes the head from the target's: as it is if it isn't trained, or with numbers as large as `initialize` gives.
    func initializeHead(
        _ target: any DistributedTargetModel, draftToTarget: [Int32]
    )

    /// Drafts token by token, as an inference engine does.
    ///
    /// - Parameters:
    ///   - capacity: The longest sequence, drafted tokens included.
    ///   - embed: Writes the target's embedding of ids.
    func makeDecoder(
        draftToTarget: [Int32], capacity: Int, workspace: Workspace, embed: @escaping ([Int32], Matrix) -> Void
    ) -> any Drafting
}

/// Drafting token by token after verified ones.
protocol Drafting: AnyObject {
    /// Forgets everything, for another sequence.
    func restart()
    /// Takes in verified tokens' features, [rows, 3 targetHidden], and the token after each of them.
    func advance(features: Matrix, next: [Int32])
    /// Drafts tokens greedily from the newest verified one; returns target ids.
    func draft(_ count: Int) -> [Int32]
}

/// What the target gave for a batch.
struct DraftFeatures {
    /// [rows, 3 targetHidden]: the hidden states of three layers.
    let auxiliary: Matrix
    /// [rows + sequences, hidden]: the embedding of the plan's extended ids.
    let embedding: Matrix
}

/// What a batch's rows learn, and from whom.
struct Lesson {
    let teacher: CompactTeacher
    /// The group's rows of the target's last hidden state, after its norm: [rows, hidden].
    let targetHidden: Matrix
    /// Of each rank of the group.
    let plans: [TrainingTimeTestPlan]
    /// Where each rank's rows begin in `targetHidden`.
    let firstRow: [Int]

    /// This rank's.
    var plan: TrainingTimeTestPlan { plans[teacher.target.communicator.rank] }
}

/// How much each row counts in the loss.
struct LossWeights {
    /// Of step k: `decay`^k, as EAGLE's 0.8.
    let decay: Float
    /// Of each sequence of the batch: one over the number of labels or rows that the loss is a mean of.
    let sequences: [Float]
    /// What is minimised.
    var objective = DraftObjective.crossEntropy
    /// Of each sequence, how many rows its mean acceptance stands for in the loss: all, if the loss is a mean over
    /// rows as SpecForge's; nil if each learnt row stands for itself.
    var acceptanceRows: [Float]?
    /// Is told how far the backward pass is; nil where more will be added to all gradients.
    var observer: (any GradientObserver)?

    /// What each step of each sequence minimises.
    func rowObjectives(_ sums: AcceptanceSums) -> [[RowObjective]] {
        sums.steps.enumerated().map { sequence, steps in
            steps.map { objective.rowObjective($0, rows: acceptanceRows?[sequence]) }
        }
    }
}
