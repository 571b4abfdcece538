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
    let rotations: [RotaryTables]
    let layers: [DecoderLayer]
    let norm: RMSNorm
    let head: ColumnParallelLinear
    /// Owns what the matrices above point into.
    let memory: FrozenWeights
    /// What the layers' weights wait for.
    let layerLoading = LayerLoading()

    var configuration: TargetShape {
        TargetShape(
            hiddenSize: description.hiddenSize, vocabSize: description.vocabSize, numHiddenLayers: layers.count)
    }

    var vocabulary: Range<Int> { embedding.vocabulary }

    func embed(_ ids: [Int32], into embedding: Matrix) {
        Profile.measure(.target) {
            self.embedding.forward(ids, into: embedding)
        }
    }

    func forward(
        _ x: Matrix, _ rows: DecoderRows, in workspace: Workspace,
        capture: (_ layer: Int, _ input: Matrix) throws -> Void
    ) rethrows {
        try Profile.measure(.target) {
            try run(x, rows, in: workspace, capture: capture)
        }
    }

    private func run(
        _ x: Matrix, _ rows: DecoderRows, in workspace: Workspace,
        capture: (_ layer: Int, _ input: Matrix) throws -> Void
    ) rethrows {
        layerLoading.finish()
        if description.embeddingScale != 1 {
            x.compute.rows(x.rows, of: x.columns) { range in
                for row in range { x.scale(row: row, by: description.embeddingScale) }
            }
        }
        let rotations = rotations.map { tables in rows.lengths.map { tables.embedding(length: $0) } }
        for (index, layer) in layers.enumerated() {
            try capture(index, x)
            layer.forward(x, rows, rotations, layer: index, in: workspace)
        }
        try capture(layers.count, x)
        norm.forward(x, into: x)
        rows.cache?.advance(x.rows)
    }

    func logits(_ hidden: Matrix, into logits: Matrix) {
        Profile.measure(.target) { head.forward(hidden, into: logits) }
    }

    func headRows(_ ids: [Int32], into rows: Matrix) {
        VocabParallelEmbedding(vocabulary: vocabulary, weight: head.weight, communicator: communicator)
            .forward(ids, into: rows)
        rows.compute.rows(rows.rows, of: rows.columns) { range in
            for row in range {
                for column in 0..<rows.columns { rows[row, column] *= norm.weight.weight[0, column] }
            }
        }
    }

    func makeCache(capacity: Int) -> KeyValueCache {
        KeyValueCache(
            layers: layers.count, width: layers.first.map(\.attention.keyValueWidth) ?? 0, capacity: capacity,
            memory.compute)
    }
}
