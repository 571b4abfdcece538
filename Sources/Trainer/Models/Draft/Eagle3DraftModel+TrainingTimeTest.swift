/// Training-time test: the decoder layer applied `tttLength` times, each step to what the step before made.
extension Eagle3DraftModel {
    func learn(
        _ features: DraftFeatures, _ lesson: Lesson, weights: LossWeights?, in workspace: Workspace
    ) throws(CommunicationError) -> TrainingStatistics {
        parameters.round()
        return try workspace.scope { () throws(CommunicationError) in
            let record = forward(features, lesson.plan, in: workspace)
            let (statistics, dHidden) = try head(record, lesson, weights: weights, in: workspace)
            if weights != nil { backward(dHidden, record, lesson.plan, in: workspace) }
            return statistics
        }
    }

    /// All steps of a batch.
    struct Record {
        let features: DraftFeatures
        /// h₋₁ of all rows: [rows, hidden].
        let projected: Matrix
        let steps: [Step]
    }

    /// Runs all steps.
    ///
    /// What is returned lives in `workspace`.
    func forward(_ features: DraftFeatures, _ plan: TrainingTimeTestPlan, in workspace: Workspace) -> Record {
        let projected = workspace.matrix(rows: features.auxiliary.rows, columns: configuration.hiddenSize)
        fc.forward(features.auxiliary, into: projected)
        var steps: [Step] = []
        for k in 0..<plan.tttLength {
            steps.append(
                k == 0
                    ? firstStep(features, projected, plan, in: workspace)
                    : laterStep(features, steps, plan, in: workspace))
        }
        return Record(features: features, projected: projected, steps: steps)
    }

    /// Walks all steps back, the last one first, and adds to every gradient but `norm`'s and `lm_head`'s.
    ///
    /// - Parameter dHidden: The gradient of each step's h_k from its loss; overwritten.
    func backward(_ dHidden: [Matrix], _ record: Record, _ plan: TrainingTimeTestPlan, in workspace: Workspace) {
        workspace.scope {
            let gradients = record.steps.map { step in
                let joined = workspace.zeros(rows: step.keyValue.keys.rows, columns: 2 * configuration.keyValueWidth)
                return (joined: joined, keyValue: keyValue(joined))
            }
            for k in record.steps.indices.reversed() {
                workspace.scope {
                    let step = record.steps[k]
                    let dAttention = backwardToAttention(dHidden[k], step, in: workspace)
                    let dQ = workspace.matrix(rows: dAttention.rows, columns: dAttention.columns)
                    attention.backward(
                        dAttention, q: step.q, o: step.attentionOutput, logSumExp: step.logSumExp,
                        prefix: record.steps[0].keyValue, visible: plan.visible,
                        own: record.steps[0..<k + 1].dropFirst().map(\.keyValue), segments: plan.segments, into: dQ,
                        dPrefix: gradients[0].keyValue, dOwn: gradients[0..<k + 1].dropFirst().map(\.keyValue),
                        in: workspace)
                    rotary.apply(dQ, positionOf: plan.positions, offset: k, .backward)
                    if k > 0 {
                        backwardLater(
                            k, record, plan, dQ: dQ, dKeyValue: gradients[k].joined, dResidual: dHidden[k],
                            dPrevious: dHidden[k - 1], in: workspace)
                    } else {
                        backwardFirst(
                            record, plan, dQ: dQ, dKeyValue: gradients[0].joined, dResidual: dHidden[0], in: workspace)
                    }
                }
            }
        }
    }

    // MARK: - Step 0: keys and values of all rows, the rest of active rows

    private func firstStep(
        _ features: DraftFeatures, _ projected: Matrix, _ plan: TrainingTimeTestPlan, in workspace: Workspace
    ) -> Step {
        let (rows, active, h) = (projected.rows, plan.activeRows.count, configuration.hiddenSize)
        let x = workspace.matrix(rows: rows, columns: 2 * h)
        workspace.scope {
            let embedding = workspace.matrix(rows: rows, columns: h)
            embedding.gather(plan.allEmbeddingRows, from: features.embedding)
            layerInput(embedding: embedding, hidden: projected, into: x)
        }
        let joined = workspace.matrix(rows: rows, columns: 2 * configuration.keyValueWidth)
        keyValueProjection.forward(x, into: joined)
        let keyValue = keyValue(joined)
        rotary.apply(keyValue.keys, positionOf: plan.allPositions)

        let q = workspace.matrix(rows: active, columns: configuration.queryWidth)
        workspace.scope {
            let activeX = workspace.matrix(rows: active, columns: 2 * h)
            activeX.gather(plan.activeRows, from: x)
            queryProjection.forward(activeX, into: q)
        }
        rotary.apply(q, positionOf: plan.positions)
        let residual = workspace.matrix(rows: active, columns: h)
        residual.gather(plan.activeRows, from: projected)
        let (output, logSumExp) = attend(q, keyValue, [], plan, in: workspace)
        return finishStep(
            x: x, residual: residual, q: q, keyValue: keyValue, attentionOutput: output, logSumExp: logSumExp,
            in: workspace)
    }

    private func backwardFirst(
        _ record: Record, _ plan: TrainingTimeTestPlan, dQ: Matrix, dKeyValue: Matrix, dResidual: Matrix,
        in workspace: Workspace
    ) {
        let (step, h) = (record.steps[0], configuration.hiddenSize)
        rotary.apply(keyValue(dKeyValue).keys, positionOf: plan.allPositions, .backward)
        let dX = workspace.matrix(rows: step.x.rows, columns: 2 * h)
        keyValueProjection.backward(dKeyValue, x: step.x, into: dX)
        workspace.scope {
            let activeX = workspace.matrix(rows: dQ.rows, columns: 2 * h)
            let dActiveX = workspace.matrix(rows: dQ.rows, columns: 2 * h)
            activeX.gather(plan.activeRows, from: step.x)
            dActiveX.gather(plan.activeRows, from: dX)
            queryProjection.backward(dQ, x: activeX, into: dActiveX, accumulate: true)
            dActiveX.scatter(plan.activeRows, into: dX)
        }
        let embedding = workspace.matrix(rows: step.x.rows, columns: h)
        embedding.gather(plan.allEmbeddingRows, from: record.features.embedding)
        inputLayerNorm.backward(dX[columns: 0..<h], x: embedding, into: nil, in: workspace)
        let dProjected = workspace.zeros(rows: step.x.rows, columns: h)
        dResidual.scatter(plan.activeRows, into: dProjected)
        hiddenNorm.backward(
            dX[columns: h..<2 * h], x: record.projected, into: dProjected, accumulate: true, in: workspace)
        fc.backward(dProjected, x: record.features.auxiliary, into: nil)
    }

    // MARK: - Later steps: active rows alone

    private func laterStep(
        _ features: DraftFeatures, _ steps: [Step], _ plan: TrainingTimeTestPlan, in workspace: Workspace
    ) -> Step {
        let (k, previous, width) = (steps.count, steps[steps.count - 1].hidden, configuration.queryWidth)
        let joined = workspace.matrix(rows: previous.rows, columns: width + 2 * configuration.keyValueWidth)
        let x = workspace.matrix(rows: previous.rows, columns: 2 * configuration.hiddenSize)
        workspace.scope {
            let embedding = workspace.matrix(rows: previous.rows, columns: configuration.hiddenSize)
            embedding.gather(plan.embeddingRows[k], from: features.embedding)
            layerInput(embedding: embedding, hidden: previous, into: x)
        }
        qkvProjection.forward(x, into: joined)
        let q = joined[columns: 0..<width]
        let keyValue = keyValue(joined[columns: width..<joined.columns])
        rotary.apply(q, positionOf: plan.positions, offset: k)
        rotary.apply(keyValue.keys, positionOf: plan.positions, offset: k)
        let own = steps.dropFirst().map(\.keyValue) + [keyValue]
        let (output, logSumExp) = attend(q, steps[0].keyValue, own, plan, in: workspace)
        return finishStep(
            x: x, residual: previous, q: q, keyValue: keyValue, attentionOutput: output, logSumExp: logSumExp,
            in: workspace)
    }

    private func backwardLater(
        _ k: Int, _ record: Record, _ plan: TrainingTimeTestPlan, dQ: Matrix, dKeyValue: Matrix, dResidual: Matrix,
        dPrevious: Matrix, in workspace: Workspace
    ) {
        let (step, h) = (record.steps[k], configuration.hiddenSize)
        rotary.apply(keyValue(dKeyValue).keys, positionOf: plan.positions, offset: k, .backward)
        let dX = workspace.matrix(rows: step.x.rows, columns: 2 * h)
        queryProjection.backward(dQ, x: step.x, into: dX)
        keyValueProjection.backward(dKeyValue, x: step.x, into: dX, accumulate: true)
        let embedding = workspace.matrix(rows: step.x.rows, columns: h)
        embedding.gather(plan.embeddingRows[k], from: record.features.embedding)
        inputLayerNorm.backward(dX[columns: 0..<h], x: embedding, into: nil, in: workspace)
        hiddenNorm.backward(
            dX[columns: h..<2 * h], x: step.residual, into: dPrevious, accumulate: true, in: workspace)
        dPrevious.add(dResidual)
    }

    private func attend(
        _ q: Matrix, _ prefix: Attention.KeyValue, _ own: [Attention.KeyValue], _ plan: TrainingTimeTestPlan,
        in workspace: Workspace
    ) -> (output: Matrix, logSumExp: Matrix) {
        let output = workspace.matrix(rows: q.rows, columns: configuration.queryWidth)
        let logSumExp = workspace.matrix(rows: configuration.numAttentionHeads, columns: q.rows)
        attention.forward(
            q, prefix: prefix, visible: plan.visible, own: own, segments: plan.segments, into: output,
            logSumExp: logSumExp, in: workspace)
        return (output, logSumExp)
    }
}
