/// A decoder layer of the draft: the first reads an embedding beside the hidden state, others are ordinary ones.
///
///     x  = [input_layernorm(e) | hidden_norm(h)]    of the first; norm(h) of the others
///     r  = h + o_proj attention(x)                  with `norm_before_residual` the first's hidden_norm(h) for h
///     h' = r + mlp(post_attention_layernorm(r))
///
/// The norm of a later layer is `hidden_norm` to SGLang and `input_layernorm` to vLLM, which both have a weight of each
/// name in every layer; it is saved under both.
struct Eagle3DecoderLayer {
    let shape: Eagle3DraftModel.Shape
    /// Of the embedding; nil but in the first layer.
    let embeddingNorm: RMSNorm?
    let hiddenNorm: RMSNorm
    /// q_proj, k_proj and v_proj below each other: [(numHeads + 2 numKeyValueHeads) · headDim, inputWidth].
    let qkvProjection: Linear
    let outputProjection: Linear
    let postAttentionLayerNorm: RMSNorm
    /// gate_proj and up_proj below each other: [2 intermediate, hidden].
    let gateUpProjection: Linear
    let downProjection: Linear

    /// The columns of x.
    var inputWidth: Int { qkvProjection.weight.weight.columns }

    /// The rows of `qkvProjection` that make queries.
    var queryProjection: Linear { Linear(weight: qkvProjection.weight[rows: 0..<shape.queryWidth]) }

    /// The rows of `qkvProjection` that make keys and values.
    var keyValueProjection: Linear {
        Linear(weight: qkvProjection.weight[rows: shape.queryWidth..<qkvProjection.weight.weight.rows])
    }

    static func declarations(_ shape: Eagle3DraftModel.Shape, layer: Int) -> [ParameterStore.Declaration] {
        let name = { (part: String) in "\(layer == 0 ? "midlayer" : "layers.\(layer)").\(part).weight" }
        let (h, d) = (shape.hiddenSize, shape.headDim)
        let norms: [ParameterStore.Declaration] =
            layer == 0
            ? [.vector(name("input_layernorm"), count: h), .vector(name("hidden_norm"), count: h)]
            : [.vector(name("input_layernorm"), name("hidden_norm"), count: h)]
        return norms + [
            .matrix(
                [
                    (name("self_attn.q_proj"), shape.numAttentionHeads * d),
                    (name("self_attn.k_proj"), shape.numKeyValueHeads * d),
                    (name("self_attn.v_proj"), shape.numKeyValueHeads * d),
                ], columns: layer == 0 ? 2 * h : h),
            .matrix([(name("self_attn.o_proj"), h)], columns: shape.queryWidth),
            .vector(name("post_attention_layernorm"), count: h),
            .matrix(
                [(name("mlp.gate_proj"), shape.intermediateSize), (name("mlp.up_proj"), shape.intermediateSize)],
                columns: h),
            .matrix([(name("mlp.down_proj"), h)], columns: shape.intermediateSize),
        ]
    }

    /// - Parameter parameters: As `declarations` has them.
    init(_ shape: Eagle3DraftModel.Shape, layer: Int, _ parameters: [Parameter]) {
        let norm = { (parameter: Parameter) in RMSNorm(weight: parameter, epsilon: shape.rmsNormEpsilon) }
        let own = parameters.suffix(6).map { $0 }
        self.shape = shape
        embeddingNorm = layer == 0 ? norm(parameters[0]) : nil
        hiddenNorm = norm(own[0])
        qkvProjection = Linear(weight: own[1])
        outputProjection = Linear(weight: own[2])
        postAttentionLayerNorm = norm(own[3])
        gateUpProjection = Linear(weight: own[4])
        downProjection = Linear(weight: own[5])
    }

    /// What a step keeps for its backward pass: rows are those that the layer computes in this step, unless said
    /// otherwise.
    ///
    /// The outputs of norms and activations, x among them, are recomputed in the backward pass; so are gate and up of
    /// what is too long to keep them.
    struct Step {
        /// h of all rows that make keys and values, [rows, hidden].
        let input: Matrix
        /// Rotated queries [rows, queryWidth].
        let q: Matrix
        /// Rotated keys and values of the input's rows, [rows, keyValueWidth].
        let keyValue: Attention.KeyValue
        let attentionOutput: Matrix
        let logSumExp: Matrix
        /// r, what the MLP's norm was given.
        let afterAttention: Matrix
        /// [rows, 2 intermediate]; nil if it is recomputed in the backward pass.
        let gateUp: Matrix?
        /// h': [rows, hidden].
        let hidden: Matrix
    }

    /// The columns of x that the hidden state has.
    private var hiddenColumns: Range<Int> { inputWidth - shape.hiddenSize..<inputWidth }

    /// Writes x.
    ///
    /// - Parameter embedding: e; read by the first layer alone.
    func input(embedding: Matrix, hidden: Matrix, into x: Matrix) {
        embeddingNorm?.forward(embedding, into: x[columns: 0..<shape.hiddenSize])
        hiddenNorm.forward(hidden, into: x[columns: hiddenColumns])
    }

    /// The backward pass from x to h.
    ///
    /// - Parameters:
    ///   - dX: The gradient of x; overwritten.
    ///   - dHidden: The residual's gradient; on return that of h.
    func inputBackward(_ dX: Matrix, embedding: Matrix, hidden: Matrix, into dHidden: Matrix, in workspace: Workspace) {
        embeddingNorm?.backward(dX[columns: 0..<shape.hiddenSize], x: embedding, into: nil, in: workspace)
        let dNormalized = dX[columns: hiddenColumns]
        if residualIsNormalized { dNormalized.add(dHidden) }
        hiddenNorm.backward(dNormalized, x: hidden, into: dHidden, accumulate: !residualIsNormalized, in: workspace)
    }

    private var residualIsNormalized: Bool { embeddingNorm != nil && shape.normBeforeResidual }

    /// Writes the residual that the attention's output is added to.
    ///
    /// - Parameters:
    ///   - x: What `input` made of `hidden`.
    ///   - rows: Which of x's rows are computed; nil for all.
    func residual(hidden: Matrix, x: Matrix, rows: [Int32]?, into residual: Matrix) {
        let source = residualIsNormalized ? x[columns: hiddenColumns] : hidden
        if let rows { residual.gather(rows, from: source) } else { residual.copy(from: source) }
    }

    /// From the attention's output to h'.
    ///
    /// - Parameters:
    ///   - afterAttention: The residual; on return r.
    ///   - keepsGateUp: Whether gate and up are returned for the backward pass.
    func finish(
        _ attentionOutput: Matrix, afterAttention: Matrix, keepsGateUp: Bool, in workspace: Workspace
    ) -> (gateUp: Matrix?, hidden: Matrix) {
        let rows = attentionOutput.rows
        outputProjection.forward(attentionOutput, into: afterAttention, accumulate: true)
        let hidden = workspace.matrix(rows: rows, columns: shape.hiddenSize)
        let kept = keepsGateUp ? workspace.matrix(rows: rows, columns: 2 * shape.intermediateSize) : nil
        workspace.scope {
            let gateUp = kept ?? workspace.matrix(rows: rows, columns: 2 * shape.intermediateSize)
            makeGateUp(afterAttention, into: gateUp, in: workspace)
            let activation = workspace.matrix(rows: rows, columns: shape.intermediateSize)
            GatedActivation.forward(gateUp, into: activation)
            hidden.copy(from: afterAttention)
            downProjection.forward(activation, into: hidden, accumulate: true)
        }
        return (kept, hidden)
    }

    /// Makes gate and up of r.
    private func makeGateUp(_ afterAttention: Matrix, into gateUp: Matrix, in workspace: Workspace) {
        workspace.scope {
            let normalized = workspace.matrix(rows: afterAttention.rows, columns: shape.hiddenSize)
            postAttentionLayerNorm.forward(afterAttention, into: normalized)
            gateUpProjection.forward(normalized, into: gateUp)
        }
    }

    /// The backward pass from h' to the attention's output.
    ///
    /// - Parameters:
    ///   - dHidden: The gradient of h'; on return that of r, and so of the residual.
    ///   - observer: Told of each weight when no more is added to its gradient; nil where a step follows that adds.
    /// - Returns: The gradient of the attention's output.
    func backwardToAttention(
        _ dHidden: Matrix, _ step: Step, _ observer: (any GradientObserver)?, in workspace: Workspace
    ) -> Matrix {
        let (rows, h) = (dHidden.rows, shape.hiddenSize)
        let dAttention = workspace.matrix(rows: rows, columns: shape.queryWidth)
        workspace.scope {
            let gateUp = step.gateUp ?? workspace.matrix(rows: rows, columns: 2 * shape.intermediateSize)
            if step.gateUp == nil { makeGateUp(step.afterAttention, into: gateUp, in: workspace) }
            let activation = workspace.matrix(rows: rows, columns: shape.intermediateSize)
            let dActivation = workspace.matrix(rows: rows, columns: shape.intermediateSize)
            GatedActivation.forward(gateUp, into: activation)
            downProjection.backward(dHidden, x: activation, into: dActivation)
            observer?.areFinal(from: downProjection.weight)
            // The gradient takes the place of the gate's and up's outputs, which nobody reads again.
            GatedActivation.backward(dActivation, gateUp: gateUp, into: gateUp)
            let normalized = workspace.matrix(rows: rows, columns: h)
            let dNormalized = workspace.matrix(rows: rows, columns: h)
            postAttentionLayerNorm.forward(step.afterAttention, into: normalized)
            gateUpProjection.backward(gateUp, x: normalized, into: dNormalized)
            observer?.areFinal(from: gateUpProjection.weight)
            postAttentionLayerNorm.backward(
                dNormalized, x: step.afterAttention, into: dHidden, accumulate: true, in: workspace)
        }
        outputProjection.backward(dHidden, x: step.attentionOutput, into: dAttention)
        observer?.areFinal(from: outputProjection.weight)
        return dAttention
    }
}
