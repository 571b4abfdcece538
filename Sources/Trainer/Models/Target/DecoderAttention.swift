/// A decoder layer's attention: this rank's heads.
struct DecoderAttention {
    /// Queries, keys and values of this rank's heads, below each other.
    let qkv: ColumnParallelLinear
    let output: RowParallelLinear
    let attention: StreamingAttention
    /// Norms of each head of queries and of keys; nil for none.
    let headNorms: (query: RMSNorm, key: RMSNorm)?
    /// Which of the model's rotations turns queries and keys; nil for none.
    let rotation: Int?
    let temperature: QueryTemperature?

    private var queryWidth: Int { attention.numHeads * attention.headDim }
    var keyValueWidth: Int { (qkv.weight.rows - queryWidth) / 2 }

    /// y += this rank's part of attention of x.
    ///
    /// - Parameters:
    ///   - rotations: For each of the model's rotations the tables of each sequence.
    ///   - layer: Whose keys and values they are in the cache.
    func addPart(
        _ x: Matrix, to y: Matrix, _ rows: DecoderRows, _ rotations: [[RotaryEmbedding]], layer: Int,
        in workspace: Workspace
    ) {
        workspace.scope {
            let joined = workspace.matrix(rows: x.rows, columns: qkv.weight.rows)
            qkv.forward(x, into: joined)
            let queries = joined[columns: 0..<queryWidth]
            let keys = joined[columns: queryWidth..<queryWidth + keyValueWidth]
            let values = joined[columns: queryWidth + keyValueWidth..<joined.columns]
            if let headNorms {
                headNorms.query.forward(heads: queries)
                headNorms.key.forward(heads: keys)
            }
            if let rotation {
                for (range, rotary) in zip(rows.sequences, rotations[rotation]) {
                    let positions = Array(rows.positions[range])
                    rotary.apply(queries[rows: range], positionOf: positions)
                    rotary.apply(keys[rows: range], positionOf: positions)
                }
            }
            temperature?.apply(queries, positionOf: rows.positions)
            let new = Attention.KeyValue(keys: keys, values: values)
            let all = rows.cache?.append(new, layer: layer) ?? new
            let segments = rows.sequences.map { range in
                Attention.Segment(queries: range, keys: rows.cache == nil ? range : 0..<all.keys.rows)
            }
            let attended = workspace.matrix(rows: x.rows, columns: queryWidth)
            attention.forward(queries, all, visible: rows.visible, segments: segments, into: attended, in: workspace)
            output.addPart(attended, to: y)
        }
    }
}
