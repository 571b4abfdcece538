import Shared

/// Online training of a draft: the target's features of a batch, then the draft's forward and backward pass.
///
/// The ranks of a tensor-parallel group join their batches for the target, which needs all of them, and then each
/// trains the draft on its own: the draft is data parallel over all ranks of the world.
struct OnlineDraft {
    let target: any DistributedTargetModel
    let draft: any DraftModel
    let teacher: CompactTeacher
    /// The target's layers whose outputs the draft sees, counted from 0.
    let targetLayers: [Int]
    /// Where the target's features are kept; nil to compute them each time.
    var cache: TargetCache?

    /// Measures a micro batch and, if `weights` are given, adds to the draft's gradients.
    ///
    /// - Parameters:
    ///   - sequences: For each rank of the tensor-parallel group, its own.
    ///   - weights: How much this rank's sequences count; nil to measure only.
    func run(
        _ sequences: [[TrainingSequence]], weights: LossWeights?, in workspace: Workspace
    ) -> TrainingStatistics {
        workspace.scope {
            // A cache has whole sequences, which serve every draft.
            let sequences = cache == nil ? sequences.map { $0.map(needed) } : sequences
            let features = TargetFeatures(
                target: target, targetLayers: targetLayers, appendedTokens: draft.appendedTokens, cache: cache
            ).run(sequences, in: workspace)
            let lesson = Lesson(
                teacher: teacher, sequences: sequences, features: features.auxiliary, embedding: features.embedding,
                targetHidden: features.hidden)
            return Profile.measure(.draft) { draft.learn(lesson, weights: weights, in: workspace) }
        }
    }

    /// A sequence without the tokens at its end that no label needs.
    private func needed(_ sequence: TrainingSequence) -> TrainingSequence {
        let count = draft.neededTokens(sequence.sample)
        guard count < sequence.length else { return sequence }
        let sample = Sample(
            inputIDs: Array(sequence.sample.inputIDs.prefix(count)),
            lossMask: Array(sequence.sample.lossMask.prefix(count)))
        return TrainingSequence(sample: sample, seed: sequence.seed)
    }

    /// About how many FLOP a sequence takes in a step, by which batches are divided: the same on all ranks.
    ///
    /// The ranks of a tensor-parallel group run the target together, over all rows up to the last supervised token:
    /// 2 · 12 hidden² of a layer for each (Kaplan and others 2020, 2.1), and 4 hidden for each key that a row sees. With a
    /// cache of features too: a run with one gives what a run without one gives, bit for bit. The draft is its own rank's.
    var cost: @Sendable (Sample) -> SampleCost {
        let (draftCost, shape) = (draft.cost, target.configuration)
        let (hidden, layers) = (Double(shape.hiddenSize), Double(shape.numHiddenLayers))
        let (row, pair) = (layers * 24 * hidden * hidden, layers * 4 * hidden)
        return { sample in
            let rows = Double((sample.lossMask.lastIndex(of: true) ?? -1) + 1)
            return SampleCost(shared: rows * row + rows * rows / 2 * pair, own: draftCost(sample))
        }
    }
}
