import Shared

/// The head: `norm`, `lm_head` and the loss, of all steps together.
///
/// The head has most of the draft's arithmetic. It works on pieces of neighbouring labels, in which up to `tttLength`
/// rows share one row of the target's logits: those are made once for all of them, and nothing of size
/// [rows, vocabulary] outlives its piece.
extension Eagle3DraftModel {
    /// The most labels and the most target rows of a piece.
    struct PieceSize {
        var labels = 1024
        var targetRows = 256
    }

    /// A run of a plan's labels and the target rows that they learn from; -1 stands for logits of zero.
    struct Piece {
        let labels: Range<Int>
        let targetRows: [Int32]
        /// For each label, its index in `targetRows`.
        let targetIndex: [Int]
    }

    /// Cuts a plan's labels into pieces, between target rows.
    static func pieces(_ plan: TrainingTimeTestPlan, _ size: PieceSize = PieceSize()) -> [Piece] {
        var pieces: [Piece] = []
        var (first, rows, indices): (Int, [Int32], [Int]) = (0, [], [])
        for (i, label) in plan.labels.enumerated() {
            let row = Int32(label.targetRow ?? -1)
            let isNew =
                i == first || plan.labels[i - 1].targetRow != label.targetRow
                || plan.labels[i - 1].sequence != label.sequence
            if isNew, rows.count == size.targetRows || i - first + plan.tttLength > size.labels, i > first {
                pieces.append(Piece(labels: first..<i, targetRows: rows, targetIndex: indices))
                (first, rows, indices) = (i, [], [])
            }
            if isNew { rows.append(row) }
            indices.append(rows.count - 1)
        }
        if first < plan.labels.count {
            pieces.append(Piece(labels: first..<plan.labels.count, targetRows: rows, targetIndex: indices))
        }
        return pieces
    }

    /// The loss of all steps, its statistics and, if `weights` are given, the gradients of `norm`, `lm_head` and h_k.
    ///
    /// - Parameter weights: Nil to measure only.
    /// - Returns: What was measured, and the gradient of each step's h_k, in `workspace`.
    func head(
        _ record: Record, _ lesson: Lesson, weights: LossWeights?, in workspace: Workspace
    ) -> (statistics: TrainingStatistics, dHidden: [Matrix]) {
        let (plan, h) = (lesson.plan, configuration.hiddenSize)
        let active = plan.activeRows.count
        // The gradient of each row's norm(h_k), and then in its place that of h_k.
        let gradient = workspace.zeros(rows: weights == nil ? 0 : plan.tttLength * active, columns: h)
        var outcomes = LabelOutcomes(plan)
        let objectives = weights?.rowObjectives(sums(record, lesson, weights, in: workspace))
        forEachPiece(lesson, in: workspace) { piece, target in
            let learnt = learntRows(piece, target, record, plan, in: workspace)
            self.piece(learnt, target, plan, weights, objectives, gradient: gradient, &outcomes, in: workspace)
        }
        guard weights != nil else { return (outcomes.statistics, []) }
        let dHidden = record.hidden.indices.map { gradient[rows: $0 * active..<($0 + 1) * active] }
        for (dHidden, hidden) in zip(dHidden, record.hidden) {
            norm.backward(dHidden, x: hidden, into: dHidden, in: workspace)
        }
        return (outcomes.statistics, dHidden)
    }

    /// Calls `body` with each piece of this rank and what it learns from; collective in the group.
    private func forEachPiece(
        _ lesson: Lesson, in workspace: Workspace, _ body: (Piece, CompactTeacher.Distributions) -> Void
    ) {
        let pieces = lesson.plans.map { Self.pieces($0) }
        for index in 0..<(pieces.map(\.count).max() ?? 0) {
            workspace.scope {
                let rows = pieces.enumerated().map { rank, pieces in
                    index < pieces.count
                        ? pieces[index].targetRows.map { $0 < 0 ? $0 : $0 + Int32(lesson.firstRow[rank]) } : []
                }
                let target = lesson.teacher.distributions(lesson.targetHidden, rows: rows, in: workspace)
                let own = pieces[lesson.teacher.target.communicator.rank]
                if index < own.count { body(own[index], target) }
            }
        }
    }

    /// What would have been accepted, by a pass over all pieces of its own if the objective depends on it.
    private func sums(
        _ record: Record, _ lesson: Lesson, _ weights: LossWeights?, in workspace: Workspace
    ) -> AcceptanceSums {
        var sums = AcceptanceSums(lesson.plan)
        guard let weights, weights.objective.needsSums(rows: weights.acceptanceRows) else { return sums }
        forEachPiece(lesson, in: workspace) { piece, target in
            let rows = learntRows(piece, target, record, lesson.plan, in: workspace)
            let results = results(rows, target, lesson.plan, nil, nil)
            for (label, result) in zip(rows.labels, results) { sums.add(lesson.plan.labels[label], result) }
        }
        return sums
    }

    /// A piece's rows that learn.
    private struct LearntRows {
        /// Their labels' indices in the plan.
        let labels: [Int]
        /// Their indices among the active rows of all steps, concatenated.
        let rows: [Int32]
        /// Their indices among the piece's target rows.
        let targetIndex: [Int]
        /// What the head was given, norm(h_k): [rows, hidden].
        let y: Matrix
        /// Logits [rows, draftVocabSize].
        let z: Matrix
    }

    private func learntRows(
        _ piece: Piece, _ target: CompactTeacher.Distributions, _ record: Record, _ plan: TrainingTimeTestPlan,
        in workspace: Workspace
    ) -> LearntRows {
        // Rows whose most likely token the draft doesn't know learn nothing.
        let learnt = piece.labels.filter { target.argmax[piece.targetIndex[$0 - piece.labels.lowerBound]] >= 0 }
        let (labels, hidden) = (learnt.map { plan.labels[$0] }, record.hidden)
        let y = workspace.matrix(rows: learnt.count, columns: configuration.hiddenSize)
        for (i, label) in labels.enumerated() {
            y.row(i).update(from: hidden[label.step].row(label.row), count: y.columns)
        }
        norm.forward(y, into: y)
        let z = logits(rows: learnt.count, in: workspace)
        lmHead.forward(y, into: z)
        return LearntRows(
            labels: learnt, rows: labels.map { Int32($0.step * plan.activeRows.count + $0.row) },
            targetIndex: learnt.map { piece.targetIndex[$0 - piece.labels.lowerBound] }, y: y, z: z)
    }

    private func piece(
        _ learnt: LearntRows, _ target: CompactTeacher.Distributions, _ plan: TrainingTimeTestPlan,
        _ weights: LossWeights?, _ objectives: [[RowObjective]]?, gradient: Matrix, _ outcomes: inout LabelOutcomes,
        in workspace: Workspace
    ) {
        let results = results(learnt, target, plan, weights, objectives)
        for (i, label) in learnt.labels.enumerated() {
            outcomes.record(
                plan.labels[label], results[i], isCorrect: results[i].argmax == target.argmax[learnt.targetIndex[i]])
        }
        guard weights != nil else { return }
        let dY = workspace.matrix(rows: learnt.rows.count, columns: learnt.y.columns)
        if lmHead.weight.rounded == nil {
            lmHead.backward(learnt.z, x: learnt.y, into: dY)
        } else {
            learnt.y.compute.withRounded(learnt.y) { lmHead.backward(learnt.z.rounded, x: $0, into: dY) }
        }
        dY.scatter(learnt.rows, into: gradient)
    }

    /// Room for logits, whose rows are an odd number of cache lines apart, so that a column's numbers don't evict each
    /// other from the cache.
    private func logits(rows: Int, in workspace: Workspace) -> Matrix {
        let count = configuration.draftVocabSize
        let stride = (count + 15) / 16 * 16 | 16
        return workspace.matrix(rows: rows, columns: stride)[columns: 0..<count]
    }

    /// What each row lost; its logits become their gradient, which is rounded in place for products in bfloat16.
    private func results(
        _ learnt: LearntRows, _ target: CompactTeacher.Distributions, _ plan: TrainingTimeTestPlan,
        _ weights: LossWeights?, _ objectives: [[RowObjective]]?
    ) -> [DistillationLoss.Row] {
        var stepWeights: [Float] = [1]
        for _ in 1..<max(2, plan.tttLength) { stepWeights.append((stepWeights.last ?? 1) * (weights?.decay ?? 1)) }
        return [DistillationLoss.Row](unsafeUninitializedCapacity: learnt.labels.count) { results, count in
            nonisolated(unsafe) let results = results
            learnt.z.compute.forEach(learnt.labels.count) { i, _ in
                let (label, row) = (plan.labels[learnt.labels[i]], learnt.targetIndex[i])
                results[i] = DistillationLoss.forwardBackward(
                    learnt.z.row(i), learnt.z.columns,
                    DistillationLoss.Target(
                        probabilities: target.probabilities.row(row), coverage: target.coverage[row]),
                    weight: (weights?.sequences[label.sequence] ?? 0) * stepWeights[label.step],
                    objective: objectives?[label.sequence][label.step] ?? .crossEntropy)
                if weights != nil, lmHead.weight.rounded != nil { learnt.z.roundInPlace(i) }
            }
            count = learnt.labels.count
        }
    }
}

/// What became of each label of a batch.
private struct LabelOutcomes {
    private enum Outcome { case none, wrong, correct }

    private let tttLength: Int
    private var outcomes: [Outcome]
    private var sums: TrainingStatistics

    init(_ plan: TrainingTimeTestPlan) {
        tttLength = plan.tttLength
        outcomes = [Outcome](repeating: .none, count: plan.activeRows.count * plan.tttLength)
        sums = TrainingStatistics(tttLength: plan.tttLength)
        // A label that isn't recorded later is of a token that the draft doesn't know: wrong.
        for label in plan.labels { outcomes[label.row * tttLength + label.step] = .wrong }
        for k in 0..<tttLength { sums.steps[k].labels = Double(plan.labelCounts[k]) }
    }

    mutating func record(_ label: TrainingTimeTestPlan.Label, _ row: DistillationLoss.Row, isCorrect: Bool) {
        if isCorrect { outcomes[label.row * tttLength + label.step] = .correct }
        sums.steps[label.step].learnt += 1
        sums.steps[label.step].loss += Double(row.loss)
        sums.steps[label.step].objective += Double(row.objective)
        sums.steps[label.step].correct += isCorrect ? 1 : 0
        sums.steps[label.step].acceptance += Double(row.acceptance)
    }

    var statistics: TrainingStatistics {
        var result = sums
        for row in stride(from: 0, to: outcomes.count, by: tttLength) {
            var isHit = true
            for k in 0..<tttLength {
                guard outcomes[row + k] != .none else { break }
                isHit = isHit && outcomes[row + k] == .correct
                result.steps[k].prefixes += 1
                result.steps[k].prefixHits += isHit ? 1 : 0
            }
        }
        return result
    }
}
