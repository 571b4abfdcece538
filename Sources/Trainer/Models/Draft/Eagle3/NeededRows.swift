/// The rows of a sequence from which some step of training-time test reaches a supervised token: what nobody can leave
/// out.
///
/// Row t of step k counts if step k or a later one has a label in it, as h_k leads to h_{k+1} of the same row. Step 0's
/// keys and values count up to the last such row, as later rows see them, and so do the target's features that they are
/// of.
struct NeededRows {
    /// Rows of the target's features, and of step 0's keys and values.
    let features: Int
    /// Rows of each step.
    let steps: [Int]
    /// Keys that the rows of each step see, together.
    let seenKeys: [Double]
    /// The target's rows whose logits are learnt.
    let logits: [Int]
    /// Rows of the target's layers: all up to the last that the draft sees or learns from.
    let target: Int

    /// - Parameter plan: Of one sequence.
    init(_ plan: TrainingTimeTestPlan) {
        precondition(plan.segments.count == 1)
        var lastStep = [Int](repeating: -1, count: plan.positions.count)
        for label in plan.labels { lastStep[label.row] = max(lastStep[label.row], label.step) }
        let rows = (0..<plan.tttLength).map { step in lastStep.indices.filter { lastStep[$0] >= step } }
        steps = rows.map(\.count)
        // Step 0's keys up to the row, and the row's own of each later step.
        seenKeys = rows.enumerated().map { step, rows in
            rows.reduce(0) { $0 + Double(Int(plan.positions[$1]) + 1 + step) }
        }
        features = (plan.positions.last.map(Int.init) ?? -1) + 1
        logits = Set(plan.labels.compactMap(\.targetRow)).sorted()
        target = max(features, (logits.last ?? -1) + 1)
    }
}
