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
    /// Each token's embedding for each layer; nil where there is none.
    let perLayerEmbedding: PerLayerEmbedding?
    let rotations: [RotaryTables]
    let layers: [DecoderLayer]
    let norm: FrozenNorm
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
        try workspace.scope {
            let pass = pass(x, rows, in: workspace)
            for (index, layer) in layers.enumerated() {
                try capture(index, x)
                layer.forward(x, pass, layer: index, in: workspace)
            }
        }
        try capture(layers.count, x)
        norm.forward(x, into: x)
        rows.cache?.advance(x.rows)
    }

    /// What all layers share.
    func pass(_ x: Matrix, _ rows: DecoderRows, in workspace: Workspace) -> DecoderPass {
        var shared: [Int: Attention.KeyValue] = [:]
        if rows.cache == nil && rows.paged == nil {
            for layer in sharingLayers {
                let width = keyValueWidths[layer]
                shared[layer] = Attention.KeyValue(
                    keys: workspace.matrix(rows: x.rows, columns: width),
                    values: workspace.matrix(rows: x.rows, columns: width))
            }
        }
        return DecoderPass(
            rows: rows, rotations: rotations.map { tables in rows.lengths.map { tables.embedding(length: $0) } },
            shared: shared, perLayer: perLayerEmbedding.map { $0.inputs(x, rows.ids, in: workspace) },
            layerCount: layers.count)
    }

    /// The layers whose keys and values others read.
    var sharingLayers: Set<Int> { Set(layers.compactMap { $0.heads?.source }) }

    /// For each layer, this rank's numKeyValueHeads · headDim; 0 where a layer has no keys of its own.
    private var keyValueWidths: [Int] {
        layers.map { layer in layer.heads.map { $0.source == nil ? $0.keyValueWidth : 0 } ?? 0 }
    }

    func logits(_ hidden: Matrix, into logits: Matrix) {
        Profile.measure(.target) {
            head.forward(hidden, into: logits)
            if description.logitScale != 1 {
                for row in 0..<logits.rows { logits.scale(row: row, by: description.logitScale) }
            }
            if let cap = description.logitCap {
                logits.compute.rows(logits.rows, of: logits.columns) { range in
                    for row in range { logits.row(row).softcap(logits.columns, at: cap) }
                }
            }
        }
    }

    func headRows(_ ids: [Int32], into rows: Matrix) {
        VocabParallelEmbedding(vocabulary: vocabulary, weight: head.weight, communicator: communicator)
            .forward(ids, into: rows)
    }

    func headScale(into scale: Matrix) {
        for column in 0..<scale.columns { scale[0, column] = norm.weight[0, column] * description.logitScale }
    }

    /// Bytes of the cache's keys and values; states are small beside them.
    func cacheByteCount(capacity: Int) -> Int {
        KeyValueCache.byteCount(widths: keyValueWidths, capacity: capacity)
    }

    func makeCache(capacity: Int) -> KeyValueCache {
        var states: [Int: RecurrentState] = [:]
        for (index, layer) in layers.enumerated() {
            if case .recurrent(let mixer) = layer.mixer { states[index] = RecurrentState(mixer, memory.compute) }
        }
        return KeyValueCache(widths: keyValueWidths, states: states, capacity: capacity, memory.compute)
    }
}

extension DecoderLayer {
    /// Its heads of attention, if it has any.
    var heads: HeadAttention? {
        switch mixer {
        case .attention(let attention): attention.heads
        case .latent(let attention): attention.heads
        case .recurrent, .none: nil
        }
    }
}

/// Each token's embedding for each layer (Gemma 4's smaller models).
///
///     (table[token] √size + norm(projection(x) / √hidden)) / √2
struct PerLayerEmbedding {
    /// [vocabulary, layers · size].
    let table: VocabParallelEmbedding
    /// To [layers · size], all of it on every rank.
    let projection: ColumnParallelLinear
    /// Of each layer's part.
    let norm: RMSNorm

    /// - Parameter x: [rows, hidden]: the tokens' embeddings, scaled.
    /// - Returns: [rows, layers · size].
    func inputs(_ x: Matrix, _ ids: [Int32], in workspace: Workspace) -> Matrix {
        let size = norm.weight.weight.columns
        let result = workspace.matrix(rows: x.rows, columns: table.weight.columns)
        workspace.scope {
            let ofTokens = workspace.matrix(rows: x.rows, columns: result.columns)
            table.forward(ids, into: ofTokens)
            projection.forward(x, into: result)
            for row in 0..<x.rows { result.scale(row: row, by: 1 / Float(x.columns).squareRoot()) }
            for first in stride(from: 0, to: result.columns, by: size) {
                let part = result[columns: first..<first + size]
                norm.forward(part, into: part)
            }
            for row in 0..<x.rows {
                add(Float(size).squareRoot(), ofTokens.row(row), to: result.row(row), result.columns)
                result.scale(row: row, by: Float(0.5).squareRoot())
            }
        }
        return result
    }
}
