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
    ) throws(CommunicationError) -> TrainingStatistics {
        try workspace.scope { () throws(CommunicationError) in
            let rank = target.communicator.rank
            let batches = samples.map { Batch($0) }
            let plans = batches.map { TrainingTimeTestPlan($0, tttLength: tttLength, alignment: alignment) }
            let firstRow = batches.indices.map { batches[..<$0].reduce(0) { $0 + $1.rows } }
            let (features, hidden) = try targetFeatures(
                Batch(samples.flatMap { $0 }), own: firstRow[rank]..<firstRow[rank] + batches[rank].rows,
                ownSequences: samples[rank].count, sequencesBefore: samples[..<rank].reduce(0) { $0 + $1.count },
                in: workspace)
            let lesson = Lesson(teacher: teacher, targetHidden: hidden, plans: plans, firstRow: firstRow)
            return try Profile.measure(.draft) { () throws(CommunicationError) in
                try draft.learn(features, lesson, weights: weights, in: workspace)
            }
        }
    }

    /// Runs the target over the group's rows.
    ///
    /// - Returns: This rank's features, and the last hidden state of all rows, after the final norm.
    private func targetFeatures(
        _ batch: Batch, own: Range<Int>, ownSequences: Int, sequencesBefore: Int, in workspace: Workspace
    ) throws(CommunicationError) -> (DraftFeatures, hidden: Matrix) {
        let h = target.configuration.hiddenSize
        let extended = TrainingTimeTestPlan.extendedIDs(batch)
        let embedding = workspace.matrix(rows: extended.count, columns: h)
        try target.embed(extended, into: embedding)
        let x = workspace.matrix(rows: batch.rows, columns: h)
        x.gather(
            (0..<batch.sequenceCount).flatMap { sequence in batch.rows(of: sequence).map { Int32($0 + sequence) } },
            from: embedding)
        let auxiliary = workspace.matrix(rows: own.count, columns: auxiliaryLayers.count * h)
        try target.forward(x, DecoderRows(batch), in: workspace) { layer, input in
            for (i, wanted) in auxiliaryLayers.enumerated() where wanted + 1 == layer {
                auxiliary[columns: i * h..<(i + 1) * h].copy(from: input[rows: own])
            }
        }
        let firstExtended = own.lowerBound + sequencesBefore
        let features = DraftFeatures(
            auxiliary: auxiliary,
            embedding: embedding[rows: firstExtended..<firstExtended + own.count + ownSequences])
        return (features, x)
    }
}
