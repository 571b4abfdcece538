/// Training-time test: the layers applied `tttLength` times, each step to what the step before made.
///
/// Each layer has keys and values of its own, of which a row sees what `Attention` says. Step 0 makes them for all rows
/// of a batch, and so every layer but the last computes all rows in it; all else is computed for active rows alone.
extension Eagle3DraftModel {
    func learn(_ lesson: Lesson, weights: LossWeights?, in workspace: Workspace) -> TrainingStatistics {
        parameters.round()
        let plans = lesson.sequences.map { training.plan($0) }
        let plan = plans[lesson.rank]
        return workspace.scope {
            let record = forward(lesson, plan, in: workspace)
            let (statistics, dHidden) = head.learn(
                record.hidden, plans.map(\.draftLabels), lesson, weights: weights, in: workspace)
            if let weights {
                // With `norm_output` the backward pass through the steps adds to `norm` too.
                weights.observer?.areFinal(
                    from: configuration.normOutput ? head.lmHead.weight : head.norm.weight)
                backward(dHidden, record, plan, weights.observer, in: workspace)
            }
            return statistics
        }
    }

    /// All steps of a batch.
    struct Record {
        let lesson: Lesson
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
    func forward(_ lesson: Lesson, _ plan: TrainingTimeTestPlan, in workspace: Workspace) -> Record {
        let projected = workspace.matrix(rows: lesson.features.rows, columns: configuration.hiddenSize)
        fusion.forward(lesson.features, into: projected, in: workspace)
        var record = Record(lesson: lesson)
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

    /// The backward pass through all steps, the last one first: adds to every gradient but those of the head, whose
    /// `norm` gets its share here with `norm_output`.
    ///
    /// All steps add to the gradients of the layers: they become final weight by weight in step 0, the last of the
    /// pass.
    ///
    /// - Parameter dHidden: The gradient of each step's h_k from its loss; overwritten.
    func backward(
        _ dHidden: [Matrix], _ record: Record, _ plan: TrainingTimeTestPlan, _ observer: (any GradientObserver)? = nil,
        in workspace: Workspace
    ) {
        workspace.scope {
            let dKeyValue = record.steps.map { layers in
                layers.map { workspace.zeros(rows: $0.input.rows, columns: 2 * configuration.keyValueWidth) }
            }
            for k in record.steps.indices.reversed() {
                observer?.poll()
                workspace.scope {
                    var gradient = dHidden[k]
                    for layer in layers.indices.reversed() {
                        gradient = backward(
                            k, layer, gradient, record, dKeyValue, plan, k == 0 ? observer : nil, in: workspace)
                    }
                    if k == 0 {
                        fusion.backward(gradient, features: record.lesson.features, in: workspace)
                    } else if configuration.normOutput {
                        head.norm.backward(
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

    /// Whether gate and up of a step are kept for the backward pass.
    ///
    /// They are a large part of what a step keeps, and cheap to recompute beside it: so the first steps' are kept as
    /// long as they are few, and the memory of long sequences is that of their other activations.
    private func keepsGateUp(_ k: Int, _ plan: TrainingTimeTestPlan) -> Bool {
        (k + 1) * plan.activeRows.count <= keptGateUpRows
    }

    private func step(
        _ k: Int, _ index: Int, _ hidden: Matrix, _ record: Record, _ plan: TrainingTimeTestPlan,
        in workspace: Workspace
    ) -> Eagle3DecoderLayer.Step {
        let (layer, given) = (layers[index], k == 0 ? plan.all : plan.active)
        let isPartial = isPartial(k, index)
        let computed = isPartial ? plan.active : given
        let (queryWidth, keyValueWidth) = (configuration.queryWidth, 2 * configuration.keyValueWidth)
        // Queries stand beside keys and values where all rows have them.
        let joined = workspace.matrix(
            rows: hidden.rows, columns: isPartial ? keyValueWidth : queryWidth + keyValueWidth)
        let keyValue = self.keyValue(joined[columns: joined.columns - keyValueWidth..<joined.columns])
        let q =
            isPartial
            ? workspace.matrix(rows: plan.activeRows.count, columns: queryWidth) : joined[columns: 0..<queryWidth]
        let residual = workspace.matrix(rows: q.rows, columns: configuration.hiddenSize)
        workspace.scope {
            let x = input(k, index, hidden, record.lesson, plan, in: workspace).x
            layer.residual(hidden: hidden, x: x, rows: isPartial ? plan.activeRows : nil, into: residual)
            if isPartial {
                layer.keyValueProjection.forward(x, into: joined)
                let activeX = workspace.matrix(rows: q.rows, columns: x.columns)
                activeX.gather(plan.activeRows, from: x)
                layer.queryProjection.forward(activeX, into: q)
            } else {
                layer.qkvProjection.forward(x, into: joined)
            }
        }
        rotary.apply(q, positionOf: computed.positions, offset: k)
        rotary.apply(keyValue.keys, positionOf: given.positions, offset: k)
        let output = workspace.matrix(rows: q.rows, columns: queryWidth)
        let logSumExp = workspace.matrix(rows: configuration.numAttentionHeads, columns: q.rows)
        attention.forward(
            q, prefix: k == 0 ? keyValue : record.steps[0][index].keyValue, visible: computed.visible,
            own: k == 0 ? [] : record.own(index, upTo: k - 1) + [keyValue], segments: computed.segments, into: output,
            logSumExp: logSumExp, in: workspace)
        let rest = layer.finish(output, afterAttention: residual, keepsGateUp: keepsGateUp(k, plan), in: workspace)
        return Eagle3DecoderLayer.Step(
            input: hidden, q: q, keyValue: keyValue, attentionOutput: output, logSumExp: logSumExp,
            afterAttention: residual, gateUp: rest.gateUp, hidden: rest.hidden)
    }

    /// - Parameters:
    ///   - dHidden: The gradient of the layer's output; overwritten.
    ///   - dKeyValue: The gradients of all keys and values, [step][layer], each complete when the pass reaches it.
    ///   - observer: Told of weights whose gradients become final in this step; nil if another follows.
    /// - Returns: The gradient of the layer's input, in `workspace` or in place of `dHidden`.
    private func backward(
        _ k: Int, _ index: Int, _ dHidden: Matrix, _ record: Record, _ dKeyValue: [[Matrix]],
        _ plan: TrainingTimeTestPlan, _ observer: (any GradientObserver)?, in workspace: Workspace
    ) -> Matrix {
        let (layer, step) = (layers[index], record.steps[k][index])
        let isPartial = isPartial(k, index)
        let dInput = isPartial ? workspace.zeros(rows: step.input.rows, columns: dHidden.columns) : dHidden
        workspace.scope {
            let dAttention = layer.backwardToAttention(dHidden, step, observer, in: workspace)
            let (embedding, x) = input(k, index, step.input, record.lesson, plan, in: workspace)
            let dX = workspace.matrix(rows: x.rows, columns: x.columns)
            attentionBackward(k, index, dAttention, x, record, dKeyValue, plan, into: dX, in: workspace)
            observer?.areFinal(from: layer.qkvProjection.weight)
            if isPartial { dHidden.scatter(plan.activeRows, into: dInput) }
            layer.inputBackward(dX, embedding: embedding, hidden: step.input, into: dInput, in: workspace)
        }
        return dInput
    }

    /// From the gradient of the attention's output to that of x.
    private func attentionBackward(
        _ k: Int, _ index: Int, _ dAttention: Matrix, _ x: Matrix, _ record: Record, _ dKeyValue: [[Matrix]],
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
            layer.keyValueProjection.backward(dKeyValue[k][index], x: x, into: dX)
            if isPartial(k, index) {
                let activeX = workspace.matrix(rows: dQ.rows, columns: dX.columns)
                let dActiveX = workspace.matrix(rows: dQ.rows, columns: dX.columns)
                activeX.gather(plan.activeRows, from: x)
                dActiveX.gather(plan.activeRows, from: dX)
                layer.queryProjection.backward(dQ, x: activeX, into: dActiveX, accumulate: true)
                dActiveX.scatter(plan.activeRows, into: dX)
            } else {
                layer.queryProjection.backward(dQ, x: x, into: dX, accumulate: true)
            }
        }
    }

    /// What a layer reads in a step: x, and the embedding in it, which layers but the first have none of.
    private func input(
        _ k: Int, _ index: Int, _ hidden: Matrix, _ lesson: Lesson, _ plan: TrainingTimeTestPlan,
        in workspace: Workspace
    ) -> (embedding: Matrix, x: Matrix) {
        let rows = k == 0 ? plan.allEmbeddingRows : plan.embeddingRows[k]
        let embedding = workspace.matrix(rows: index == 0 ? rows.count : 0, columns: configuration.hiddenSize)
        if index == 0 { embedding.gather(rows, from: lesson.embedding) }
        let x = workspace.matrix(rows: hidden.rows, columns: layers[index].inputWidth)
        layers[index].input(embedding: embedding, hidden: hidden, into: x)
        return (embedding, x)
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
