/// A decoder-only transformer, divided among the ranks of a tensor-parallel group: every family of targets.
///
///     r = x + o_proj attention(input_layernorm(x))
///     y = r + down_proj (silu(gate) up), gate and up of post_attention_layernorm(r)
///
/// Two all-reduces a layer, none of them of anything larger than [rows, hidden]. What differs between families is in
/// `DecoderDescription`.
struct DecoderTargetModel: DistributedTargetModel {
    let description: DecoderDescription
    let communicator: any Communicator
    let embedding: VocabParallelEmbedding
    let layers: [DecoderLayer]
    let norm: RMSNorm
    let head: ColumnParallelLinear
    /// Owns what the matrices above point into.
    let memory: FrozenWeights

    var configuration: TargetShape {
        TargetShape(
            hiddenSize: description.hiddenSize, vocabSize: description.vocabSize,
            numHiddenLayers: description.numHiddenLayers)
    }

    var vocabulary: Range<Int> { embedding.vocabulary }

    func embed(_ ids: [Int32], into embedding: Matrix) throws(CommunicationError) {
        try self.embedding.forward(ids, into: embedding)
    }

    func forward(
        _ x: Matrix, _ rows: DecoderRows, in workspace: Workspace, capture: (_ layer: Int, _ input: Matrix) -> Void
    ) throws(CommunicationError) {
        for (index, layer) in layers.enumerated() {
            capture(index, x)
            try layer.forward(x, rows, layer: index, in: workspace)
        }
        capture(layers.count, x)
        norm.forward(x, into: x)
        rows.cache?.advance(x.rows)
    }

    func logits(_ hidden: Matrix, into logits: Matrix) { head.forward(hidden, into: logits) }

    func headRows(_ ids: [Int32], into rows: Matrix) throws(CommunicationError) {
        try VocabParallelEmbedding(vocabulary: vocabulary, weight: head.weight, communicator: communicator)
            .forward(ids, into: rows)
        for row in 0..<rows.rows {
            for column in 0..<rows.columns { rows[row, column] *= norm.weight.weight[0, column] }
        }
    }

    func makeCache(capacity: Int) -> KeyValueCache {
        KeyValueCache(
            layers: layers.count, width: layers.first.map(\.keyValueWidth) ?? 0, capacity: capacity)
    }
}

/// One layer of a decoder: this rank's heads and intermediate features.
struct DecoderLayer {
    let inputNorm: RMSNorm
    /// Queries, keys and values of this rank's heads, below each other.
    let qkv: ColumnParallelLinear
    let output: RowParallelLinear
    let postAttentionNorm: RMSNorm
    /// Gate and up of this rank's intermediate features, below each other.
    let gateUp: ColumnParallelLinear
    let down: RowParallelLinear
    let attention: Attention
    let rotary: RotaryEmbedding

    private var queryWidth: Int { attention.numHeads * attention.headDim }
    var keyValueWidth: Int { (qkv.weight.rows - queryWidth) / 2 }

    /// x becomes the layer's output.
    func forward(_ x: Matrix, _ rows: DecoderRows, layer: Int, in workspace: Workspace) throws(CommunicationError) {
        try workspace.scope { () throws(CommunicationError) in
            let normalized = workspace.matrix(rows: x.rows, columns: x.columns)
            inputNorm.forward(x, into: normalized)
            let joined = workspace.matrix(rows: x.rows, columns: qkv.weight.rows)
            qkv.forward(normalized, into: joined)
            let attended = attend(joined, rows, layer: layer, in: workspace)
            try output.forward(attended, addingTo: x)
        }
        try workspace.scope { () throws(CommunicationError) in
            let normalized = workspace.matrix(rows: x.rows, columns: x.columns)
            postAttentionNorm.forward(x, into: normalized)
            let both = workspace.matrix(rows: x.rows, columns: gateUp.weight.rows)
            gateUp.forward(normalized, into: both)
            let activation = workspace.matrix(rows: x.rows, columns: gateUp.weight.rows / 2)
            GatedActivation.forward(both, into: activation)
            try down.forward(activation, addingTo: x)
        }
    }

    private func attend(_ joined: Matrix, _ rows: DecoderRows, layer: Int, in workspace: Workspace) -> Matrix {
        let q = joined[columns: 0..<queryWidth]
        let keys = joined[columns: queryWidth..<queryWidth + keyValueWidth]
        let values = joined[columns: queryWidth + keyValueWidth..<joined.columns]
        rotary.apply(q, positionOf: rows.positions)
        rotary.apply(keys, positionOf: rows.positions)
        let new = Attention.KeyValue(keys: keys, values: values)
        let prefix = rows.cache?.append(new, layer: layer) ?? new
        let segments = rows.sequences.map { range in
            Attention.Segment(queries: range, keys: rows.cache == nil ? range : 0..<prefix.keys.rows)
        }
        let attended = workspace.matrix(rows: joined.rows, columns: queryWidth)
        let logSumExp = workspace.matrix(rows: attention.numHeads, columns: joined.rows)
        attention.forward(
            q, prefix: prefix, visible: rows.visible, segments: segments, into: attended, logSumExp: logSumExp,
            in: workspace)
        return attended
    }
}
