import Shared

/// The head of a draft that learns blocks: norm, the target's `lm_head`, Markov and confidence heads, and the loss, of all
/// rows that learn.
///
/// As `DistillationHead`: no logits outlive their piece of labels. Pieces are of whole blocks, as what a row counts depends
/// on the others of its block.
struct BlockHead {
    let head: DistillationHead
    let markov: MarkovHead?
    let confidence: ConfidenceHead?
    let loss: BlockLoss

    /// What it is given.
    struct Lessons {
        /// h of all rows.
        let hidden: Matrix
        /// For each rank of the group, what its rows learn.
        let labels: [DraftLabels]
        /// Of this rank's labels, the target's id of the token that is predicted.
        let tokens: [Int32]
        /// The token before each of those.
        let previous: [Int32]
        let lesson: Lesson

        var own: DraftLabels { labels[lesson.rank] }
    }

    /// The loss, its statistics and, if `weights` are given, the gradients of the norm and of h.
    ///
    /// Collective: call on all ranks of the teacher's group.
    /// - Parameter weights: Nil to measure only.
    /// - Returns: The gradient of h, in `workspace`, has no rows if it isn't wanted.
    func learn(
        _ lessons: Lessons, weights: LossWeights?, in workspace: Workspace
    ) -> (statistics: TrainingStatistics, dHidden: Matrix) {
        let labels = lessons.own
        let gradient = workspace.zeros(
            rows: weights == nil ? 0 : lessons.hidden.rows, columns: lessons.hidden.columns)
        var outcomes = LabelOutcomes(labels)
        let alignment = FeatureAlignment(lessons.lesson, weights)
        forEachPiece(lessons, in: workspace) { learnt in
            let (rows, rowWeights) = measure(learnt)
            for (i, label) in learnt.labels.enumerated() {
                let result = DistillationLoss.Row(
                    loss: rows[i].softCrossEntropy, objective: rowWeights[i] * loss.value(rows[i]),
                    argmax: rows[i].argmax, acceptance: rows[i].acceptance)
                outcomes.record(label, result, isCorrect: rows[i].argmax == learnt.likeliest[i])
            }
            if let weights {
                let all = zip(learnt.labels, rowWeights).map { weights.sequences[$0.sequence] * $1 }
                makeGradients(learnt, rows, all)
                let dS = zip(rows, all).map { loss.confidence * $1 * $0.confidenceGradient }
                let dY = backward(learnt, dS, in: workspace)
                if let alignment {
                    outcomes.record(
                        learnt.labels,
                        cosines: alignment.addGradients(learnt.labels, weights: all, y: learnt.y, to: dY))
                }
                dY.scatter(learnt.rows, into: gradient)
            }
        }
        if weights != nil { head.norm.backward(gradient, x: lessons.hidden, into: gradient, in: workspace) }
        return (outcomes.statistics, gradient)
    }

    /// A piece's rows that learn.
    struct Learnt {
        let labels: [DraftLabels.Label]
        /// Their indices among the rows of h.
        let rows: [Int32]
        /// The draft id that each row's CE learns.
        let ids: [Int]
        /// The draft id of the target's likeliest token; -1 if it has none.
        let likeliest: [Int32]
        let targets: [DistillationLoss.Target]
        /// norm(h): [rows, hidden].
        let y: Matrix
        /// The token before each row's, and what the Markov head has of it: [rows, r].
        let previous: [Int32]
        let e: Matrix?
        /// Logits [rows, draftVocabSize].
        let z: Matrix
    }

    /// Calls `body` with each piece of this rank and its logits; collective in the group.
    func forEachPiece(_ lessons: Lessons, in workspace: Workspace, _ body: (Learnt) -> Void) {
        let (lesson, pieces) = (lessons.lesson, lessons.labels.map { $0.pieces() })
        for index in 0..<(pieces.map(\.count).max() ?? 0) {
            workspace.scope {
                let rows = pieces.map { index < $0.count ? $0[index].targetRows : [] }
                let target = lesson.teacher.distributions(lesson.targetHidden, rows: rows, in: workspace)
                let own = pieces[lesson.rank]
                if index < own.count { body(learnt(own[index], target, lessons, in: workspace)) }
            }
        }
    }

    private func learnt(
        _ piece: DraftLabels.Piece, _ target: CompactTeacher.Distributions, _ lessons: Lessons,
        in workspace: Workspace
    ) -> Learnt {
        let targetRow = { (label: Int) in piece.targetIndex[label - piece.labels.lowerBound] }
        let ids = piece.labels.map { label -> Int in
            switch loss.label {
            case .tokens: Int(lessons.lesson.teacher.targetToDraft[Int(lessons.tokens[label])])
            case .target:
                indexOfMaximum(target.probabilities.row(targetRow(label)), target.probabilities.columns)
            }
        }
        // Of text, rows whose token the draft doesn't know learn nothing.
        let labels = zip(piece.labels, ids).filter { $0.1 >= 0 }
        let rows = labels.map { Int32(lessons.own.all[$0.0].row) }
        let y = workspace.matrix(rows: rows.count, columns: lessons.hidden.columns)
        y.gather(rows, from: lessons.hidden)
        head.norm.forward(y, into: y)
        let previous = labels.map { lessons.previous[$0.0] }
        let e = markov.map { workspace.matrix(rows: rows.count, columns: $0.rank) }
        let z = head.logits(rows: rows.count, in: workspace)
        head.lmHead.forward(y, into: z)
        if let markov, let e {
            markov.embed(previous, into: e)
            markov.addBias(of: e, to: z)
        }
        return Learnt(
            labels: labels.map { lessons.own.all[$0.0] }, rows: rows, ids: labels.map(\.1),
            likeliest: labels.map { target.argmax[targetRow($0.0)] },
            targets: labels.map {
                DistillationLoss.Target(
                    probabilities: target.probabilities.row(targetRow($0.0)),
                    coverage: target.coverage[targetRow($0.0)])
            }, y: y, previous: previous, e: e, z: z)
    }

    /// What each row lost and what it counts; its logits become the draft's probabilities.
    func measure(_ learnt: Learnt) -> (rows: [BlockLoss.Row], weights: [Float]) {
        let rows = [BlockLoss.Row](unsafeUninitializedCapacity: learnt.labels.count) { results, count in
            nonisolated(unsafe) let results = results
            nonisolated(unsafe) let learnt = learnt
            learnt.z.compute.forEach(learnt.labels.count) { i, _ in
                results[i] = loss.measure(learnt.z.row(i), learnt.z.columns, learnt.targets[i], label: learnt.ids[i])
                if let confidence {
                    let s = confidence.logit(learnt.y.row(i), learnt.y.columns, learnt.e?.row(i))
                    let (value, derivative) = ConfidenceHead.loss(s, 1 - results[i].tv)
                    results[i].bce = value
                    results[i].confidenceGradient = derivative
                }
            }
            count = learnt.labels.count
        }
        return (rows, loss.weights.weights(learnt.labels, ce: rows.map(\.ce)))
    }

    /// Probabilities become the gradients of logits, rounded in place for products in bfloat16.
    private func makeGradients(_ learnt: Learnt, _ rows: [BlockLoss.Row], _ weights: [Float]) {
        nonisolated(unsafe) let learnt = learnt
        learnt.z.compute.forEach(rows.count) { i, _ in
            loss.gradient(
                learnt.z.row(i), learnt.z.columns, learnt.targets[i], rows[i], label: learnt.ids[i], weight: weights[i])
            if head.lmHead.weight.rounded != nil { learnt.z.roundInPlace(i) }
        }
    }

    /// - Parameter dS: The gradient of the confidence head's logit, of each row.
    /// - Returns: The gradient of y, in `workspace`.
    private func backward(_ learnt: Learnt, _ dS: [Float], in workspace: Workspace) -> Matrix {
        let dY = workspace.matrix(rows: learnt.rows.count, columns: learnt.y.columns)
        let dE = markov.map { workspace.matrix(rows: learnt.rows.count, columns: $0.rank) }
        if head.lmHead.weight.rounded == nil {
            head.lmHead.backward(learnt.z, x: learnt.y, into: dY)
            if let markov, let e = learnt.e { markov.output.backward(learnt.z, x: e, into: dE) }
        } else {
            learnt.y.compute.withRounded(learnt.y) { head.lmHead.backward(learnt.z.rounded, x: $0, into: dY) }
            if let markov, let e = learnt.e {
                e.compute.withRounded(e) { markov.output.backward(learnt.z.rounded, x: $0, into: dE) }
            }
        }
        confidence?.backward(dS, y: learnt.y, e: learnt.e, into: dY, dE)
        if let markov, let dE { markov.backward(dE, learnt.previous) }
        return dY
    }
}
