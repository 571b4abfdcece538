import Shared

/// A draft: what the training loop, the planner, the benchmark and the decoder need of one, whatever its architecture.
///
/// How a draft learns is its own: it chooses the rows that it computes of a `Lesson`, and has settings of its own for
/// it. What all drafts have in common is that they learn the target's distributions at some *positions* ahead of a
/// token, one after another: the steps of training-time test, or the tokens of a block.
///
/// Every architecture is a `DraftConfiguration` that makes one, and a line in `DraftRegistry`.
protocol DraftModel {
    // MARK: Weights

    /// All weights, by their names in a checkpoint.
    var parameters: ParameterStore { get }

    /// Writes first weights: by a seed, the same on every rank.
    func initialize(seed: UInt64)

    /// Takes the head from the target's: as it is if it isn't trained, with a norm that makes it less decided; or with elements
    /// as large as `initialize` gives.
    func initializeHead(_ target: any DistributedTargetModel, draftToTarget: [Int32])

    /// Takes from the target the weights that it shares with the draft and that no checkpoint of the draft has.
    func takeTargetWeights(_ target: any DistributedTargetModel, draftToTarget: [Int32])

    // MARK: Learning

    /// Tokens whose embeddings it needs beside those of a sequence; `Lesson.embedding` has them after each sequence.
    var appendedTokens: [Int32] { get }

    /// How many positions ahead it learns, which its statistics tell apart.
    var positionCount: Int { get }

    /// How far after a sequence's end its rows may stand: rotation is prepared for as many more positions.
    var positionsAfterEnd: Int { get }

    /// What the loss of a step is a mean over, of one sequence: its labels at the first position, or their weights.
    func labelCount(_ sequence: TrainingSequence) -> Double

    /// How many tokens of a sequence, from its beginning, its labels need: of those after them nothing is computed.
    func neededTokens(_ sample: Sample) -> Int

    /// The forward pass over a batch and, if `weights` are given, the backward pass, which adds to every gradient.
    ///
    /// Collective: call on all ranks of the teacher's group.
    /// - Parameters:
    ///   - lesson: What there is to learn.
    ///   - weights: How much the sequences count; nil to measure only.
    func learn(_ lesson: Lesson, weights: LossWeights?, in workspace: Workspace) -> TrainingStatistics

    /// What is minimised, per label.
    func loss(_ statistics: TrainingStatistics) -> Double

    // MARK: Drafting

    /// The most tokens that it drafts at a time.
    var longestDraft: Int { get }

    /// Whether its decoder is `TreeDrafting`.
    var draftsTrees: Bool { get }

    /// Drafts as an inference engine does.
    ///
    /// - Parameters:
    ///   - draftToTarget: The target's id of each draft id.
    ///   - capacity: The longest sequence, drafted tokens included.
    ///   - embed: Writes the target's embedding of ids.
    func makeDecoder(
        draftToTarget: [Int32], capacity: Int, workspace: Workspace, embed: @escaping ([Int32], Matrix) -> Void
    ) -> any Drafting

    /// Bytes of what `makeDecoder` makes.
    func decoderByteCount(capacity: Int) -> Int

    // MARK: Planning

    /// About how many FLOP a sequence takes in a step, by which batches are divided among ranks: the same on all ranks.
    var cost: @Sendable (Sample) -> Double { get }

    /// What learning a micro batch takes.
    func workload(_ sequences: [TrainingSequence], on rank: PlannedRank) -> DraftWorkload

    /// FLOP that its head needs for each label that is learnt.
    var headOperations: Double { get }

    /// What the mathematics of learning a sequence needs.
    func necessaryWork(_ sequence: TrainingSequence) -> NecessaryWork

    /// Drafts that are run in place of this one, to tell how long it takes.
    var trial: DraftTrial { get }
}

extension DraftModel {
    var appendedTokens: [Int32] { [] }
    var longestDraft: Int { .max }
    var draftsTrees: Bool { false }
    func neededTokens(_ sample: Sample) -> Int { sample.inputIDs.count }
    var trial: DraftTrial { DraftTrial(drafts: [self]) { $0[0] } }

    /// A draft has all its weights in its checkpoints.
    func takeTargetWeights(_ target: any DistributedTargetModel, draftToTarget: [Int32]) {}

    /// As `ParameterStore.fillUniformly`.
    func initialize(seed: UInt64) { parameters.fillUniformly(seed: seed) }
}

/// Drafting after verified tokens.
protocol Drafting: AnyObject {
    /// Forgets everything, for another sequence.
    func restart()
    /// Adds verified tokens and drops what was drafted after those before.
    ///
    /// - Parameters:
    ///   - features: The outputs of the target's layers that the draft sees, side by side: [tokens, layers · hidden].
    ///   - next: The token after each of them.
    func advance(features: Matrix, next: [Int32])
    /// Drafts tokens greedily from the newest verified one.
    ///
    /// - Parameter count: At most the draft's `longestDraft`.
    /// - Returns: Target ids.
    func draft(_ count: Int) -> [Int32]
}

/// Drafting that can go on in several ways: what trees of drafted tokens are made of.
protocol TreeDrafting: Drafting {
    /// The likeliest tokens after the newest verified one and a path of drafted ones, the likeliest first.
    func continuations(after path: [Int32], count: Int) -> [DraftedToken]
}

/// A token that may be drafted.
struct DraftedToken: Equatable {
    /// The target's id.
    let id: Int32
    /// Among the draft's tokens.
    let logProbability: Float
}
