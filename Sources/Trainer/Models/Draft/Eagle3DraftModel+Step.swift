/// One step of the decoder layer, forward and backward.
extension Eagle3DraftModel {
    /// What a step keeps for its backward pass; all rows are the plan's active ones unless said otherwise.
    struct Step {
        /// [rows, 2 hidden]: what the projections were given; in step 0 of all rows.
        let x: Matrix
        /// h_{k−1}, the residual: [rows, hidden].
        let residual: Matrix
        /// Rotated queries [rows, queryWidth].
        let q: Matrix
        /// Rotated keys and values [rows, keyValueWidth]; in step 0 of all rows.
        let keyValue: Attention.KeyValue
        let attentionOutput: Matrix
        let logSumExp: Matrix
        /// r_k, what the MLP's norm was given.
        let afterAttention: Matrix
        /// [rows, 2 intermediate].
        let gateUp: Matrix
        /// h_k: [rows, hidden].
        let hidden: Matrix
    }

    /// x = [input_layernorm(e) | hidden_norm(h)].
    func layerInput(embedding: Matrix, hidden: Matrix, into x: Matrix) {
        let h = configuration.hiddenSize
        inputLayerNorm.forward(embedding, into: x[columns: 0..<h])
        hiddenNorm.forward(hidden, into: x[columns: h..<2 * h])
    }

    /// Splits [rows, 2 keyValueWidth] into keys and values.
    func keyValue(_ joined: Matrix) -> Attention.KeyValue {
        let width = configuration.keyValueWidth
        return Attention.KeyValue(keys: joined[columns: 0..<width], values: joined[columns: width..<2 * width])
    }

    /// From the attention's output to h_k.
    func finishStep(
        x: Matrix, residual: Matrix, q: Matrix, keyValue: Attention.KeyValue, attentionOutput: Matrix,
        logSumExp: Matrix, in workspace: Workspace
    ) -> Step {
        let (rows, h) = (residual.rows, configuration.hiddenSize)
        let afterAttention = workspace.matrix(rows: rows, columns: h)
        let gateUp = workspace.matrix(rows: rows, columns: 2 * configuration.intermediateSize)
        let hidden = workspace.matrix(rows: rows, columns: h)
        afterAttention.copy(from: residual)
        outputProjection.forward(attentionOutput, into: afterAttention, accumulate: true)
        workspace.scope {
            let normalized = workspace.matrix(rows: rows, columns: h)
            postAttentionLayerNorm.forward(afterAttention, into: normalized)
            gateUpProjection.forward(normalized, into: gateUp)
            let activation = workspace.matrix(rows: rows, columns: configuration.intermediateSize)
            GatedActivation.forward(gateUp, into: activation)
            hidden.copy(from: afterAttention)
            downProjection.forward(activation, into: hidden, accumulate: true)
        }
        return Step(
            x: x, residual: residual, q: q, keyValue: keyValue, attentionOutput: attentionOutput,
            logSumExp: logSumExp, afterAttention: afterAttention, gateUp: gateUp, hidden: hidden)
    }

    /// The way back from h_k to the attention's output.
    ///
    /// - Parameter dHidden: The gradient of h_k; on return that of r_k, and so of the residual.
    /// - Returns: The gradient of the attention's output.
    func backwardToAttention(_ dHidden: Matrix, _ step: Step, in workspace: Workspace) -> Matrix {
        let (rows, h) = (dHidden.rows, configuration.hiddenSize)
        let dAttention = workspace.matrix(rows: rows, columns: configuration.queryWidth)
        workspace.scope {
            let activation = workspace.matrix(rows: rows, columns: configuration.intermediateSize)
            let dActivation = workspace.matrix(rows: rows, columns: configuration.intermediateSize)
            GatedActivation.forward(step.gateUp, into: activation)
            downProjection.backward(dHidden, x: activation, into: dActivation)
            // The gradient takes the place of the gate's and up's outputs, which nobody reads again.
            GatedActivation.backward(dActivation, gateUp: step.gateUp, into: step.gateUp)
            let normalized = workspace.matrix(rows: rows, columns: h)
            let dNormalized = workspace.matrix(rows: rows, columns: h)
            postAttentionLayerNorm.forward(step.afterAttention, into: normalized)
            gateUpProjection.backward(step.gateUp, x: normalized, into: dNormalized)
            postAttentionLayerNorm.backward(
                dNormalized, x: step.afterAttention, into: dHidden, accumulate: true, in: workspace)
        }
        outputProjection.backward(dHidden, x: step.attentionOutput, into: dAttention)
        return dAttention
    }
}
