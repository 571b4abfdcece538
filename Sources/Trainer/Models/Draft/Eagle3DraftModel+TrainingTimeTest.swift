/// Training-time test: the layers applied `tttLength` times, each step to what the step before made.
///
/// Each layer has keys and values of its own, of which a row sees what `Attention` says. Step 0 makes them for all rows
/// of a batch, and so every layer but the last computes all rows in it; all else is computed for active rows alone.
extension Eagle3DraftModel {
    func learn(
        _ features: DraftFeatures, _ lesson: Lesson, weights: LossWeights?, in workspace: Workspace
    ) throws(CommunicationError) -> TrainingStatistics {
        parameters.round()
        return try workspace.scope { () throws(CommunicationError) in
            let record = forward(features, lesson.plan, in: workspace)
            let (statistics, dHidden) = try head(record, lesson, weights: weights, in: workspace)
            if let weights {
                // With `norm_output` the walk back adds to `norm` too.
                try weights.observer?.areFinal(from: configuration.normOutput ? lmHead.weight : norm.weight)
                try backward(dHidden, record, lesson.plan, weights.observer, in: workspace)
            }
            return statistics
        }
    }

    /// All steps of a batch.
    struct Record {
        let features: DraftFeatures
        /// [step][layer].
        fileprivate(set) var steps: [[Eagle3DecoderLayer.Step]] = []

        /// h_k of each step, of active rows.
        var hidden: [Matrix] { steps.map { $0[$0.count - 1].hidden } }

        /// The keys and values that a layer has made in steps 1…k, of active rows.
        func own(_ layer: Int, upTo k: Int) -> [Attention.KeyValue] {
            steps[0...k].dropFirst().map { $0[layer].keyValue }
        }
    }

    /// Runs all steps.
    ///
    /// What is returned lives in `workspace`.
    func forward(_ features: DraftFeatures, _ plan: TrainingTimeTestPlan, in workspace: Workspace) -> Record {
        let projected = workspace.matrix(rows: features.auxiliary.rows, columns: configuration.hiddenSize)
        fusion.forward(features.auxiliary, into: projected, in: workspace)
        var record = Record(features: features)
        for k in 0..<plan.tttLength {
            var hidden = k == 0 ? projected : output(record.hidden[k - 1], in: workspace)
            var steps: [Eagle3DecoderLayer.Step] = []
            for layer in layers.indices {
                steps.append(step(k, layer, hidden, record, plan, in: workspace))
                hidden = steps[layer].hidden
            }
            record.steps.append(steps)
        }
        return record
    }

    /// Walks all steps back, the last one first, and adds to every gradient but those of the head, whose `norm` gets
    /// its share here with `norm_output`.
    ///
    /// - Parameter dHidden: The gradient of each step's h_k from its loss; overwritten.
    func backward(
        _ dHidden: [Matrix], _ record: Record, _ plan: TrainingTimeTestPlan, _ observer: (any GradientObserver)? = nil,
        in workspace: Workspace
    ) throws(CommunicationError) {
        try workspace.scope { () throws(CommunicationError) in
            let dKeyValue = record.steps.map { layers in
                layers.map { workspace.zeros(rows: $0.x.rows, columns: 2 * configuration.keyValueWidth) }
            }
            for k in record.steps.indices.reversed() {
                try observer?.poll()
                workspace.scope {
                    var gradient = dHidden[k]
                    for layer in layers.indices.reversed() {
                        gradient = backward(k, layer, gradient, record, dKeyValue, plan, in: workspace)
                    }
                    if k == 0 {
                        fusion.backward(gradient, features: record.features.auxiliary, in: workspace)
                    } else if configuration.normOutput {
                        norm.backward(
                            gradient, x: record.hidden[k - 1], into: dHidden[k - 1], accumulate: true, in: workspace)
                    } else {
                        dHidden[k - 1].add(gradient)
                    }
                }
            }
        }
    }

    // MARK: - One layer of one step

    /// Whether a layer makes keys and values of more rows than it computes.
    private func isPartial(_ k: Int, _ layer: Int) -> Bool { k == 0 && layer == layers.count - 1 }

    private func step(
        _ k: Int, _ index: Int, _ hidden: Matrix, _ record: Record, _ plan: TrainingTimeTestPlan,
        in workspace: Workspace
    ) -> Eagle3DecoderLayer.Step {
        let (layer, given) = (layers[index], k == 0 ? plan.all : plan.active)
        let computed = isPartial(k, index) ? plan.active : given
        let x = workspace.matrix(rows: hidden.rows, columns: layer.inputWidth)
        workspace.scope {
            layer.input(
                embedding: embedding(k, index, record.features, plan, in: workspace), hidden: hidden, into: x)
        }
        let q: Matrix
        let keyValue: Attention.KeyValue
        if isPartial(k, index) {
            let joined = workspace.matrix(rows: x.rows, columns: 2 * configuration.keyValueWidth)
            layer.keyValueProjection.forward(x, into: joined)
            keyValue = self.keyValue(joined)
            q = workspace.matrix(rows: plan.activeRows.count, columns: configuration.queryWidth)
            workspace.scope {
                let activeX = workspace.matrix(rows: q.rows, columns: x.columns)
                activeX.gather(plan.activeRows, from: x)
                layer.queryProjection.forward(activeX, into: q)
            }
        } else {
            let joined = workspace.matrix(
                rows: x.rows, columns: configuration.queryWidth + 2 * configuration.keyValueWidth)
            layer.qkvProjection.forward(x, into: joined)
            q = joined[columns: 0..<configuration.queryWidth]
            keyValue = self.keyValue(joined[columns: configuration.queryWidth..<joined.columns])
        }
        rotary.apply(q, positionOf: computed.positions, offset: k)
        rotary.apply(keyValue.keys, positionOf: given.positions, offset: k)
        let output = workspace.matrix(rows: q.rows, columns: configuration.queryWidth)
        let logSumExp = workspace.matrix(rows: configuration.numAttentionHeads, columns: q.rows)
        attention.forward(
            q, prefix: k == 0 ? keyValue : record.steps[0][index].keyValue, visible: computed.visible,
            own: k == 0 ? [] : record.own(index, upTo: k - 1) + [keyValue], segments: computed.segments, into: output,
            logSumExp: logSumExp, in: workspace)
        return layer.finish(
            input: hidden, x: x, rows: isPartial(k, index) ? plan.activeRows : nil, q: q, keyValue: keyValue,
            attentionOutput: output, logSumExp: logSumExp, in: workspace)
    }

    /// - Parameters:
    ///   - dHidden: The gradient of the layer's output; overwritten.
    ///   - dKeyValue: The gradients of all keys and values, [step][layer], each complete when the walk reaches it.
    /// - Returns: The gradient of the layer's input, in `workspace` or in place of `dHidden`.
    private func backward(
        _ k: Int, _ index: Int, _ dHidden: Matrix, _ record: Record, _ dKeyValue: [[Matrix]],
        _ plan: TrainingTimeTestPlan, in workspace: Workspace
    ) -> Matrix {
        let (layer, step) = (layers[index], record.steps[k][index])
        let isPartial = isPartial(k, index)
        let dInput = isPartial ? workspace.zeros(rows: step.x.rows, columns: dHidden.columns) : dHidden
        workspace.scope {
            let dAttention = layer.backwardToAttention(dHidden, step, in: workspace)
            let dX = workspace.matrix(rows: step.x.rows, columns: step.x.columns)
            attentionBackward(k, index, dAttention, record, dKeyValue, plan, into: dX, in: workspace)
            if isPartial { dHidden.scatter(plan.activeRows, into: dInput) }
            layer.inputBackward(
                dX, embedding: embedding(k, index, record.features, plan, in: workspace), hidden: step.input,
                into: dInput, in: workspace)
        }
        return dInput
    }

    /// From the gradient of the attention's output to that of x.
    private func attentionBackward(
        _ k: Int, _ index: Int, _ dAttention: Matrix, _ record: Record, _ dKeyValue: [[Matrix]],
        _ plan: TrainingTimeTestPlan, into dX: Matrix, in workspace: Workspace
    ) {
        let (layer, step, given) = (layers[index], record.steps[k][index], k == 0 ? plan.all : plan.active)
        let computed = isPartial(k, index) ? plan.active : given
        workspace.scope {
            let dQ = workspace.matrix(rows: dAttention.rows, columns: dAttention.columns)
            attention.backward(
                dAttention, q: step.q, o: step.attentionOutput, logSumExp: step.logSumExp,
                prefix: record.steps[0][index].keyValue, visible: computed.visible, own: record.own(index, upTo: k),
                segments: computed.segments, into: dQ, dPrefix: keyValue(dKeyValue[0][index]),
                dOwn: dKeyValue[0...k].dropFirst().map { keyValue($0[index]) }, in: workspace)
            rotary.apply(dQ, positionOf: computed.positions, offset: k, .backward)
            rotary.apply(keyValue(dKeyValue[k][index]).keys, positionOf: given.positions, offset: k, .backward)
            layer.keyValueProjection.backward(dKeyValue[k][index], x: step.x, into: dX)
            if isPartial(k, index) {
                let activeX = workspace.matrix(rows: dQ.rows, columns: dX.columns)
                let dActiveX = workspace.matrix(rows: dQ.rows, columns: dX.columns)
                activeX.gather(plan.activeRows, from: step.x)
                dActiveX.gather(plan.activeRows, from: dX)
                layer.queryProjection.backward(dQ, x: activeX, into: dActiveX, accumulate: true)
                dActiveX.scatter(plan.activeRows, into: dX)
            } else {
                layer.queryProjection.backward(dQ, x: step.x, into: dX, accumulate: true)
            }
        }
    }

    /// What the first layer reads beside the hidden state in a step; nothing for the others.
    private func embedding(
        _ k: Int, _ layer: Int, _ features: DraftFeatures, _ plan: TrainingTimeTestPlan, in workspace: Workspace
    ) -> Matrix {
        let rows = k == 0 ? plan.allEmbeddingRows : plan.embeddingRows[k]
        let embedding = workspace.matrix(rows: layer == 0 ? rows.count : 0, columns: configuration.hiddenSize)
        if layer == 0 { embedding.gather(rows, from: features.embedding) }
        return embedding
    }
}

extension TrainingTimeTestPlan {
    /// Rows as attention sees them.
    struct Rows {
        let positions: [Int32]
        let visible: [Int32]
        let segments: [Attention.Segment]
    }

    var active: Rows { Rows(positions: positions, visible: visible, segments: segments) }

    /// All rows of the batch.
    var all: Rows {
        Rows(
            positions: allPositions, visible: allPositions.map { $0 + 1 },
            segments: segments.map { Attention.Segment(queries: $0.keys, keys: $0.keys) })
    }
}
