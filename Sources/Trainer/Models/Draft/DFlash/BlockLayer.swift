/// A decoder layer of a draft that drafts in blocks, as Qwen3's but for its context: keys and values of c, which are the
/// target's features after `fc`, beside those of the rows, from the same two weights.
///
///     n  = input_layernorm(x)
///     q  = rotate(q_norm(q_proj n))
///     k  = rotate(k_norm(k_proj [c; n])),  v = v_proj [c; n]
///     r  = x + o_proj attention(q, k, v)
///     x' = r + mlp(post_attention_layernorm(r))
struct BlockLayer {
    let shape: BlockShape
    let inputNorm: RMSNorm
    /// q_proj, k_proj and v_proj below each other.
    let projection: Parameter
    let queryNorm: RMSNorm
    let keyNorm: RMSNorm
    let outputProjection: Linear
    let postAttentionNorm: RMSNorm
    /// gate_proj and up_proj below each other.
    let gateUpProjection: Linear
    let downProjection: Linear
    let attention: BlockAttention

    static let parameterCount = 8

    static func declarations(_ shape: BlockShape, layer: Int) -> [ParameterStore.Declaration] {
        let name = { (part: String) in "layers.\(layer).\(part).weight" }
        let h = shape.hiddenSize
        return [
            .vector(name("input_layernorm"), count: h),
            .matrix(
                [
                    (name("self_attn.q_proj"), shape.queryWidth), (name("self_attn.k_proj"), shape.keyValueWidth),
                    (name("self_attn.v_proj"), shape.keyValueWidth),
                ], columns: h),
            .vector(name("self_attn.q_norm"), count: shape.headDim),
            .vector(name("self_attn.k_norm"), count: shape.headDim),
            .matrix([(name("self_attn.o_proj"), h)], columns: shape.queryWidth),
            .vector(name("post_attention_layernorm"), count: h),
            .matrix(
                [(name("mlp.gate_proj"), shape.intermediateSize), (name("mlp.up_proj"), shape.intermediateSize)],
                columns: h),
            .matrix([(name("mlp.down_proj"), h)], columns: shape.intermediateSize),
        ]
    }

    /// - Parameter parameters: As `declarations` has them.
    init(_ shape: BlockShape, layer: Int, _ parameters: [Parameter]) {
        let norm = { (index: Int) in RMSNorm(weight: parameters[index], epsilon: shape.rmsNormEpsilon) }
        self.shape = shape
        (inputNorm, queryNorm, keyNorm, postAttentionNorm) = (norm(0), norm(2), norm(3), norm(5))
        projection = parameters[1]
        outputProjection = Linear(weight: parameters[4])
        gateUpProjection = Linear(weight: parameters[6])
        downProjection = Linear(weight: parameters[7])
        attention = BlockAttention(
            shape: shape, span: shape.spans[layer], precision: projection.weight.compute.precision)
    }

    /// Keys and values, and keys before their norm.
    struct Keys {
        let plain: Matrix
        let keyValue: Attention.KeyValue
    }

    /// What the forward pass keeps for the backward pass.
    struct Step {
        /// x: [rows, hidden].
        let input: Matrix
        /// Queries before their norm, and rotated.
        let plainQueries: Matrix
        let queries: Matrix
        let own: Keys
        let attentionOutput: Matrix
        let logSumExp: Matrix
        /// r.
        let afterAttention: Matrix
        let gateUp: Matrix
        /// x'.
        let hidden: Matrix
    }

    private var queryProjection: Linear { Linear(weight: projection[rows: 0..<shape.queryWidth]) }
    private var keyProjection: Linear { keyValueProjection(0) }
    private var valueProjection: Linear { keyValueProjection(1) }

    private func keyValueProjection(_ index: Int) -> Linear {
        let first = shape.queryWidth + index * shape.keyValueWidth
        return Linear(weight: projection[rows: first..<first + shape.keyValueWidth])
    }

    /// A row for each head.
    private func heads(_ matrix: Matrix) -> Matrix {
        Matrix(start: matrix.start, rows: matrix.count / shape.headDim, columns: shape.headDim, matrix.compute)
    }

    private func normalized(_ plain: Matrix, _ norm: RMSNorm, in workspace: Workspace) -> Matrix {
        let result = workspace.matrix(rows: plain.rows, columns: plain.columns)
        norm.forward(heads(plain), into: heads(result))
        return result
    }

    /// Keys and values of rows.
    ///
    /// - Parameter input: c, or n.
    func keys(_ input: Matrix, _ positions: [Int32], _ rotary: RotaryEmbedding, in workspace: Workspace) -> Keys {
        let plain = workspace.matrix(rows: input.rows, columns: shape.keyValueWidth)
        let values = workspace.matrix(rows: input.rows, columns: shape.keyValueWidth)
        keyProjection.forward(input, into: plain)
        valueProjection.forward(input, into: values)
        let keys = normalized(plain, keyNorm, in: workspace)
        rotary.apply(keys, positionOf: positions)
        return Keys(plain: plain, keyValue: Attention.KeyValue(keys: keys, values: values))
    }

    /// - Parameters:
    ///   - input: x.
    ///   - context: Keys and values of c.
    func forward(
        _ input: Matrix, context: Attention.KeyValue, _ segments: [BlockAttention.Segment], _ positions: [Int32],
        _ rotary: RotaryEmbedding, in workspace: Workspace
    ) -> Step {
        let rows = input.rows
        func matrix(_ columns: Int) -> Matrix { workspace.matrix(rows: rows, columns: columns) }
        let normalized = matrix(shape.hiddenSize)
        inputNorm.forward(input, into: normalized)
        let plainQueries = matrix(shape.queryWidth)
        queryProjection.forward(normalized, into: plainQueries)
        let queries = self.normalized(plainQueries, queryNorm, in: workspace)
        rotary.apply(queries, positionOf: positions)
        let own = keys(normalized, positions, rotary, in: workspace)
        let output = matrix(shape.queryWidth)
        let logSumExp = workspace.matrix(rows: shape.numAttentionHeads, columns: rows)
        attention.forward(
            queries, context: context, own: own.keyValue, segments, into: output, logSumExp: logSumExp, in: workspace)
        let afterAttention = matrix(shape.hiddenSize)
        afterAttention.copy(from: input)
        outputProjection.forward(output, into: afterAttention, accumulate: true)
        let (gateUp, hidden) = (matrix(2 * shape.intermediateSize), matrix(shape.hiddenSize))
        workspace.scope {
            let activation = matrix(shape.intermediateSize)
            postAttentionNorm.forward(afterAttention, into: normalized)
            gateUpProjection.forward(normalized, into: gateUp)
            GatedActivation.forward(gateUp, into: activation)
            hidden.copy(from: afterAttention)
            downProjection.forward(activation, into: hidden, accumulate: true)
        }
        return Step(
            input: input, plainQueries: plainQueries, queries: queries, own: own, attentionOutput: output,
            logSumExp: logSumExp, afterAttention: afterAttention, gateUp: gateUp, hidden: hidden)
    }

    /// Adds to all gradients.
    ///
    /// - Parameters:
    ///   - gradient: That of x'; on return that of x.
    ///   - step: What `forward` kept; its gate and up are overwritten.
    ///   - c: The context, and its keys and values.
    ///   - dC: The gradient of c, to which is added.
    func backward(
        _ gradient: Matrix, _ step: Step, c: Matrix, context: Keys, _ segments: [BlockAttention.Segment],
        positions: (own: [Int32], context: [Int32]), _ rotary: RotaryEmbedding, into dC: Matrix, in workspace: Workspace
    ) {
        let rows = gradient.rows
        func matrix(_ columns: Int) -> Matrix { workspace.matrix(rows: rows, columns: columns) }
        func zeros(_ rows: Int) -> Attention.KeyValue {
            Attention.KeyValue(
                keys: workspace.zeros(rows: rows, columns: shape.keyValueWidth),
                values: workspace.zeros(rows: rows, columns: shape.keyValueWidth))
        }
        workspace.scope {
            let dAttention = matrix(shape.queryWidth)
            workspace.scope { feedForwardBackward(gradient, step, in: workspace) }
            outputProjection.backward(gradient, x: step.attentionOutput, into: dAttention)
            let (dQueries, dOwn, dContext) = (matrix(shape.queryWidth), zeros(rows), zeros(c.rows))
            attention.backward(
                dAttention, q: step.queries, o: step.attentionOutput, logSumExp: step.logSumExp,
                context: context.keyValue, own: step.own.keyValue, segments, into: dQueries, dContext: dContext,
                dOwn: dOwn, in: workspace)
            rotary.apply(dQueries, positionOf: positions.own, .backward)
            queryNorm.backward(heads(dQueries), x: heads(step.plainQueries), into: heads(dQueries), in: workspace)
            for (keys, dKeys, positions) in [
                (step.own, dOwn.keys, positions.own), (context, dContext.keys, positions.context),
            ] {
                rotary.apply(dKeys, positionOf: positions, .backward)
                keyNorm.backward(heads(dKeys), x: heads(keys.plain), into: heads(dKeys), in: workspace)
            }
            let (normalized, dNormalized) = (matrix(shape.hiddenSize), matrix(shape.hiddenSize))
            inputNorm.forward(step.input, into: normalized)
            queryProjection.backward(dQueries, x: normalized, into: dNormalized)
            for (dKeyValue, x, dX) in [(dOwn, normalized, dNormalized), (dContext, c, dC)] {
                keyProjection.backward(dKeyValue.keys, x: x, into: dX, accumulate: true)
                valueProjection.backward(dKeyValue.values, x: x, into: dX, accumulate: true)
            }
            inputNorm.backward(dNormalized, x: step.input, into: gradient, accumulate: true, in: workspace)
        }
    }

    /// From the gradient of x' to that of r.
    private func feedForwardBackward(_ gradient: Matrix, _ step: Step, in workspace: Workspace) {
        let rows = gradient.rows
        func matrix(_ columns: Int) -> Matrix { workspace.matrix(rows: rows, columns: columns) }
        let (activation, dActivation) = (matrix(shape.intermediateSize), matrix(shape.intermediateSize))
        GatedActivation.forward(step.gateUp, into: activation)
        downProjection.backward(gradient, x: activation, into: dActivation)
        // The gradient takes the place of the gate's and up's outputs, which nobody reads again.
        GatedActivation.backward(dActivation, gateUp: step.gateUp, into: step.gateUp)
        let (normalized, dNormalized) = (matrix(shape.hiddenSize), matrix(shape.hiddenSize))
        postAttentionNorm.forward(step.afterAttention, into: normalized)
        gateUpProjection.backward(step.gateUp, x: normalized, into: dNormalized)
        postAttentionNorm.backward(
            dNormalized, x: step.afterAttention, into: gradient, accumulate: true, in: workspace)
    }
}
