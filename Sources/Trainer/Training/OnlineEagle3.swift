import Shared

/// Online training of the draft: the target's features of a batch, then the draft's forward and backward pass.
///
/// The ranks of a tensor-parallel group join their batches for the target, which needs all of them, and then each
/// trains the draft on its own: the draft is data parallel over all ranks of the world.
struct OnlineEagle3 {
    let target: any DistributedTargetModel
    let draft: any DraftModel
    let teacher: CompactTeacher
    /// The layers whose outputs the draft sees: three of them, counted from 0.
    let auxiliaryLayers: [Int]
    let tttLength: Int
    let alignment: TrainingTimeTestPlan.LossMaskAlignment
    /// Where the target's features are kept; nil to compute them each time.
    var cache: TargetCache?

    /// How many labels the first step of training-time test has in a batch: what the loss is a mean over.
    func labelCount(_ batch: Batch) -> Int {
        TrainingTimeTestPlan(batch, tttLength: 1, alignment: alignment).labels.count
    }

    /// Measures a micro batch and, if `weights` are given, adds to the draft's gradients.
    ///
    /// - Parameters:
    ///   - samples: For each rank of the tensor-parallel group, its sequences.
    ///   - weights: How much this rank's sequences count; nil to measure only.
    func run(
        _ samples: [[Sample]], weights: LossWeights?, in workspace: Workspace
    ) -> TrainingStatistics {
        workspace.scope {
            let batches = samples.map { Batch($0) }
            let plans = batches.map { TrainingTimeTestPlan($0, tttLength: tttLength, alignment: alignment) }
            let firstRow = batches.indices.map { batches[..<$0].reduce(0) { $0 + $1.rows } }
            let (features, hidden) = TargetFeatures(
                target: target, auxiliaryLayers: auxiliaryLayers, cache: cache
            ).run(samples, in: workspace)
            let lesson = Lesson(teacher: teacher, targetHidden: hidden, plans: plans, firstRow: firstRow)
            return Profile.measure(.draft) {
                draft.learn(features, lesson, weights: weights, in: workspace)
            }
        }
    }
}
