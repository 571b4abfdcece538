import Shared

/// A sequence to learn from.
struct TrainingSequence: Sendable {
    let sample: Sample
    /// The seed of what a draft chooses by chance in it: a function of the run's seed, the epoch and the sample, and so
    /// the same however samples are divided among ranks, and after a run was resumed.
    var seed: UInt64 = 0

    var length: Int { sample.inputIDs.count }
}

extension Batch {
    init(_ sequences: [TrainingSequence]) { self.init(sequences.map(\.sample)) }
}

/// What a batch has to teach a draft: sequences, and what the target makes of them.
struct Lesson {
    let teacher: CompactTeacher
    /// For each rank of the tensor-parallel group, its sequences.
    let sequences: [[TrainingSequence]]
    /// The outputs of the target's layers that the draft sees, side by side, of this rank's rows: [rows, layers · hidden].
    let features: Matrix
    /// The target's embedding of this rank's tokens, and of the draft's `appendedTokens` after each sequence.
    let embedding: Matrix
    /// The target's last hidden state after its norm, of this rank's rows: [rows, hidden].
    let targetHidden: Matrix

    var rank: Int { teacher.target.communicator.rank }

    /// This rank's.
    var ownSequences: [TrainingSequence] { sequences[rank] }
}

/// How much each row counts in the loss.
struct LossWeights {
    /// Of each sequence of the batch: one over the number of labels or rows that the loss is a mean of.
    let sequences: [Float]
    /// Of each sequence, how many rows its mean acceptance stands for in the loss: all, if the loss is a mean over
    /// rows as SpecForge's; nil if each learnt row stands for itself.
    var acceptanceRows: [Float]?
    /// What `FeatureAlignment` counts beside a label's loss; 0 to leave it out.
    var features: Float = 0
    /// Is told how far the backward pass is; nil where more will be added to all gradients.
    var observer: (any GradientObserver)?
}
