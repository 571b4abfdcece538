import Shared

/// Held-out loss and accuracies.
enum HeldOut {
    /// Measures a draft on samples, divided among the ranks; every rank gets the sums.
    ///
    /// - Parameters:
    ///   - batchSize: Sequences that a rank works on at a time.
    ///   - stepSize: Sequences that are divided among the ranks at a time.
    /// - Throws: `Interrupted` on all ranks, if any of them was asked to stop.
    static func measure(
        _ samples: any TrainingSamples, _ model: OnlineDraft, _ grid: ProcessGrid, batchSize: Int, stepSize: Int,
        policy: BadSamplePolicy = .stop, in workspace: Workspace, progress: (Int) -> Void = { _ in }
    ) throws -> TrainingStatistics {
        var sum = TrainingStatistics(positions: model.draft.positionCount)
        let count = samples.count
        let steps = 0..<(count + stepSize - 1) / stepSize
        let reader = BatchReader(
            samples, grid, batchSize: batchSize, policy: policy, steps: steps, cost: model.cost
        ) { step in
            Array(step * stepSize..<min(count, (step + 1) * stepSize))
        }
        for step in steps {
            var statistics: [TrainingStatistics] = []
            let batch = try Profile.measure(.data) { try reader.batch(step) }
            for micro in batch.micro {
                statistics.append(model.run(micro.sequences, weights: nil, in: workspace))
                try grid.world.stopIfInterrupted()
            }
            sum.add(
                TrainingStatistics.sum(
                    statistics, positions: model.draft.positionCount, orders: batch.micro.map(\.order),
                    over: grid.world))
            progress(min(count, (step + 1) * stepSize))
        }
        return sum
    }
}
