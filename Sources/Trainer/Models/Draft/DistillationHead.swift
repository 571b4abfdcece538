import Shared

/// The head of a draft that learns the target's distributions: a norm, `lm_head` and the loss, of all positions
/// together.
///
///     z = lm_head norm(h)      loss = Σ_labels weight_sequence weight_position objective(z, the target's logits)
///
/// The head has most of a draft's arithmetic. It works on pieces of neighbouring labels, in which rows of several
/// positions share one row of the target's logits: those are computed once for all of them, and nothing of size
/// [rows, vocabulary] outlives its piece.
struct DistillationHead {
    let norm: RMSNorm
    let lmHead: Linear
    /// What a row of each position counts in the loss.
    let positionWeights: [Float]
    let objective: DraftObjective
    /// The most that it works on at a time.
    var pieceSize = DraftLabels.PieceSize()

    /// The loss of all positions, its statistics and, if `weights` are given, the gradients of `norm`, `lm_head` and h.
    ///
    /// Collective: call on all ranks of the teacher's group.
    /// - Parameters:
    ///   - hidden: h of all rows, [rows, hidden], in one matrix or in several of as many rows each.
    ///   - labels: For each rank of the group, what its rows learn.
    ///   - weights: Nil to measure only.
    /// - Returns: What was measured, and the gradient of each matrix of h, in `workspace`.
    func learn(
        _ hidden: [Matrix], _ labels: [DraftLabels], _ lesson: Lesson, weights: LossWeights?, in workspace: Workspace
    ) -> (statistics: TrainingStatistics, dHidden: [Matrix]) {
        let batch = HeadBatch(
            hidden: hidden, labels: labels, own: labels[lesson.rank], lesson: lesson, weights: weights)
        // The gradient of each row's norm(h), and then in its place that of h.
        let gradient = workspace.zeros(
            rows: weights == nil ? 0 : hidden.reduce(0) { $0 + $1.rows }, columns: lmHead.weight.weight.columns)
        var outcomes = LabelOutcomes(batch.own)
        let objectives = weights.map { rowObjectives($0, sums(batch, in: workspace)) }
        let alignment = FeatureAlignment(lesson, weights)
        forEachPiece(batch, in: workspace) { piece, target in
            let learnt = learntRows(piece, target, batch, in: workspace)
            let results = results(learnt, target, batch, objectives)
            for (i, label) in learnt.labels.enumerated() {
                outcomes.record(
                    batch.own.all[label], results[i],
                    isCorrect: results[i].argmax == target.argmax[learnt.targetIndex[i]])
            }
            guard let weights else { return }
            let dY = backward(learnt, in: workspace)
            if let alignment {
                let labels = learnt.labels.map { batch.own.all[$0] }
                let counted = labels.map { weights.sequences[$0.sequence] * positionWeights[$0.position] }
                outcomes.record(
                    labels, cosines: alignment.addGradients(labels, weights: counted, y: learnt.y, to: dY))
            }
            dY.scatter(learnt.rows, into: gradient)
        }
        guard weights != nil else { return (outcomes.statistics, []) }
        let dHidden = hidden.indices.map { gradient[rows: $0 * batch.rowsEach..<($0 + 1) * batch.rowsEach] }
        for (dHidden, hidden) in zip(dHidden, hidden) {
            norm.backward(dHidden, x: hidden, into: dHidden, in: workspace)
        }
        return (outcomes.statistics, dHidden)
    }

    /// What each position of each sequence minimises.
    private func rowObjectives(_ weights: LossWeights, _ sums: AcceptanceSums) -> [[RowObjective]] {
        sums.positions.enumerated().map { sequence, positions in
            positions.map { objective.rowObjective($0, rows: weights.acceptanceRows?[sequence]) }
        }
    }

    /// Calls `body` with each piece of this rank and what it learns from; collective in the group.
    private func forEachPiece(
        _ batch: HeadBatch, in workspace: Workspace, _ body: (DraftLabels.Piece, CompactTeacher.Distributions) -> Void
    ) {
        let (lesson, pieces) = (batch.lesson, batch.labels.map { $0.pieces(pieceSize) })
        for index in 0..<(pieces.map(\.count).max() ?? 0) {
            workspace.scope {
                let rows = pieces.map { index < $0.count ? $0[index].targetRows : [] }
                let target = lesson.teacher.distributions(lesson.targetHidden, rows: rows, in: workspace)
                let own = pieces[lesson.rank]
                if index < own.count { body(own[index], target) }
            }
        }
    }

    /// What would have been accepted, by a pass over all pieces of its own if the objective depends on it.
    private func sums(_ batch: HeadBatch, in workspace: Workspace) -> AcceptanceSums {
        var sums = AcceptanceSums(batch.own)
        guard let weights = batch.weights, objective.needsSums(rows: weights.acceptanceRows) else { return sums }
        forEachPiece(batch, in: workspace) { piece, target in
            let rows = learntRows(piece, target, batch, in: workspace)
            let results = results(rows, target, batch, nil)
            for (label, result) in zip(rows.labels, results) { sums.add(batch.own.all[label], result) }
        }
        return sums
    }

    private func learntRows(
        _ piece: DraftLabels.Piece, _ target: CompactTeacher.Distributions, _ batch: HeadBatch,
        in workspace: Workspace
    ) -> LearntRows {
        // Rows whose most likely token the draft doesn't know learn nothing.
        let learnt = piece.labels.filter { target.argmax[piece.targetIndex[$0 - piece.labels.lowerBound]] >= 0 }
        let labels = learnt.map { batch.own.all[$0] }
        let y = workspace.matrix(rows: learnt.count, columns: lmHead.weight.weight.columns)
        y.compute.rows(y.rows, of: y.columns) { range in
            for i in range {
                let (matrix, row) = labels[i].row.quotientAndRemainder(dividingBy: batch.rowsEach)
                y.row(i).update(from: batch.hidden[matrix].row(row), count: y.columns)
            }
        }
        norm.forward(y, into: y)
        let z = logits(rows: learnt.count, in: workspace)
        lmHead.forward(y, into: z)
        return LearntRows(
            labels: learnt, rows: labels.map { Int32($0.row) },
            targetIndex: learnt.map { piece.targetIndex[$0 - piece.labels.lowerBound] }, y: y, z: z)
    }

    /// - Returns: The gradient of y, in `workspace`.
    private func backward(_ learnt: LearntRows, in workspace: Workspace) -> Matrix {
        let dY = workspace.matrix(rows: learnt.rows.count, columns: learnt.y.columns)
        if lmHead.weight.rounded == nil {
            lmHead.backward(learnt.z, x: learnt.y, into: dY)
        } else {
            learnt.y.compute.withRounded(learnt.y) { lmHead.backward(learnt.z.rounded, x: $0, into: dY) }
        }
        return dY
    }

    /// Room for logits, whose rows are an odd number of cache lines apart, so that a column's elements don't evict each
    /// other from the cache.
    func logits(rows: Int, in workspace: Workspace) -> Matrix {
        let count = lmHead.weight.weight.rows
        let stride = (count + 15) / 16 * 16 | 16
        return workspace.matrix(rows: rows, columns: stride)[columns: 0..<count]
    }

    /// What each row lost; its logits become their gradient, which is rounded in place for products in bfloat16.
    ///
    /// - Parameter objectives: Nil to measure only.
    private func results(
        _ learnt: LearntRows, _ target: CompactTeacher.Distributions, _ batch: HeadBatch,
        _ objectives: [[RowObjective]]?
    ) -> [DistillationLoss.Row] {
        let (labels, weights) = (batch.own.all, objectives == nil ? nil : batch.weights)
        return [DistillationLoss.Row](unsafeUninitializedCapacity: learnt.labels.count) { results, count in
            nonisolated(unsafe) let results = results
            learnt.z.compute.forEach(learnt.labels.count) { i, _ in
                let (label, row) = (labels[learnt.labels[i]], learnt.targetIndex[i])
                results[i] = DistillationLoss.forwardBackward(
                    learnt.z.row(i), learnt.z.columns,
                    DistillationLoss.Target(
                        probabilities: target.probabilities.row(row), coverage: target.coverage[row]),
                    weight: (weights?.sequences[label.sequence] ?? 0) * positionWeights[label.position],
                    objective: objectives?[label.sequence][label.position] ?? .crossEntropy)
                if weights != nil, lmHead.weight.rounded != nil { learnt.z.roundInPlace(i) }
            }
            count = learnt.labels.count
        }
    }
}

/// What the head is given.
private struct HeadBatch {
    let hidden: [Matrix]
    /// For each rank of the teacher's group.
    let labels: [DraftLabels]
    /// This rank's.
    let own: DraftLabels
    let lesson: Lesson
    let weights: LossWeights?

    var rowsEach: Int { hidden[0].rows }
}

/// A piece's rows that learn.
private struct LearntRows {
    /// Their labels' indices.
    let labels: [Int]
    /// Their indices among the rows of h.
    let rows: [Int32]
    /// Their indices among the piece's target rows.
    let targetIndex: [Int]
    /// What `lm_head` was given, norm(h): [rows, hidden].
    let y: Matrix
    /// Logits [rows, draftVocabSize].
    let z: Matrix
}

/// First weights, and what the head takes.
extension DistillationHead {
    /// Begins with the rows of the target's head that the draft vocabulary has, and undecided.
    ///
    /// So it knows which tokens are alike. In the target's own scale its logits would be as decided as the target's from
    /// the first step on, and wrong, which costs hundreds of steps to unlearn. A head that learns has the target's norm
    /// multiplied in, and elements as large as `ParameterStore.fillUniformly` makes them; one that doesn't keeps the
    /// target's rows, and the norm before it is the target's, scaled down.
    func initialize(from target: any DistributedTargetModel, draftToTarget: [Int32]) {
        let (head, scale) = (lmHead.weight.weight, norm.weight.weight)
        target.headRows(draftToTarget, into: head)
        target.headScale(into: scale)
        var squares = 0.0
        for row in 0..<head.rows {
            for column in 0..<head.columns {
                let element = Double(head[row, column] * scale[0, column])
                squares += element * element
            }
        }
        guard squares > 0 else { return }
        // A uniform number within ±a has the mean square a²/3.
        let factor = Float(ParameterStore.range(head) / (3 * squares / Double(head.count)).squareRoot())
        if lmHead.weight.isFrozen { return scale.scale(row: 0, by: min(1, Self.frozenScale * factor)) }
        head.compute.rows(head.rows, of: head.columns) { range in
            for row in range {
                for column in 0..<head.columns { head[row, column] *= factor * scale[0, column] }
            }
        }
        scale.fill(1)
    }

    /// How much larger than those of random numbers a frozen head's first logits are: of 1, 2, 3 and 5, 3 learnt fastest.
    private static let frozenScale: Float = 3

    /// The most elements that `learn` takes at a time for a piece, the gradient of h left out.
    func elements(_ labels: DraftLabels, on rank: PlannedRank) -> Int {
        let (size, h) = (lmHead.weight.weight.rows, lmHead.weight.weight.columns)
        let pieces = labels.pieces().map { piece in
            let (labels, rows) = (piece.labels.count, piece.targetRows.count)
            let group = rank.tpSize * rows
            // Logits; and what becomes of them, or the hidden states that they are made of.
            let teacher =
                group * rank.vocabularyCount
                + max(
                    group * (size / rank.tpSize) + rows * size,
                    (rank.tpSize > 1 ? rows + group : rows) * rank.targetHiddenSize)
            return rows * size + max(teacher, labels * (2 * h + size))
        }
        return pieces.max() ?? 0
    }

    /// FLOP of a label, forward and backward: a weight that isn't trained has no gradient.
    var operations: Double {
        (lmHead.weight.isFrozen ? 4 : 6) * Double(lmHead.weight.weight.count)
    }

    /// The largest products: its own, and that of the target's logits.
    func products(_ labels: DraftLabels, on rank: PlannedRank) -> [ProductSize] {
        let (pieces, weight) = (labels.pieces(), lmHead.weight.weight)
        return [
            ProductSize(rows: pieces.map(\.labels.count).max() ?? 0, inputs: weight.columns, outputs: weight.rows),
            ProductSize(
                rows: pieces.map(\.targetRows.count).max() ?? 0, inputs: rank.targetHiddenSize,
                outputs: rank.vocabularyCount),
        ]
    }
}
