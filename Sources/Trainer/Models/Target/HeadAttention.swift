/// Attention of a layer's heads, once there are queries, keys and values: norms, rotation, the past, and what is seen.
struct HeadAttention {
    let attention: StreamingAttention
    /// This rank's key/value heads: numKeyValueHeads · headDim.
    let keyValueWidth: Int
    let norms: Norms
    /// Which of the model's rotations turns queries and keys; nil for none.
    let rotation: Int?
    let temperature: QueryTemperature?
    /// The earlier layer whose keys and values are read; nil for the layer's own.
    let source: Int?

    /// The norms of queries, keys and values.
    struct Norms {
        /// Of each head, those of keys nil where the keys are another layer's.
        var byHead: (query: RMSNorm, key: RMSNorm?)?
        var comesAfterRotation = false
        /// Over all heads of queries, and of keys, which stand beside each other.
        var joint: DividedRMSNorm?
        var value: RMSNorm?
    }

    var width: Int { attention.numHeads * attention.headDim }

    /// Writes what heads make of the rows, [rows, width].
    ///
    /// - Parameters:
    ///   - joined: Queries, and unless they are another layer's keys and values, beside each other.
    ///   - layer: Whose keys and values they are in the cache.
    func forward(
        _ joined: Matrix, _ pass: DecoderPass, layer: Int, into attended: Matrix, in workspace: Workspace
    ) {
        let queries = joined[columns: 0..<width]
        if let joint = norms.joint { joint.apply(joined[columns: 0..<width + keyValueWidth], in: workspace) }
        prepare(queries, norms.byHead?.query, pass)
        let new = source == nil ? own(joined) : nil
        if let new {
            prepare(new.keys, norms.byHead?.key, pass)
            if let norm = norms.value { norm.forward(heads: new.values) }
        }
        temperature?.apply(queries, positionOf: pass.rows.positions)
        if let paged = pass.rows.paged {
            if let new { paged.append(new, layer: layer) }
            return paged.attend(queries, attention, layer: source ?? layer, into: attended, in: workspace)
        }
        let all = withPast(new, pass, layer)
        let hasCache = pass.rows.cache != nil
        let segments = pass.rows.sequences.map { range in
            Attention.Segment(queries: range, keys: hasCache ? 0..<all.keys.rows : range)
        }
        attention.forward(
            queries, all, visible: pass.rows.visible, segments: segments, into: attended, in: workspace)
    }

    /// The rows' keys and values after those of the past, or those of the layer that they are read from.
    private func withPast(_ new: Attention.KeyValue?, _ pass: DecoderPass, _ layer: Int) -> Attention.KeyValue {
        if let new {
            if let shared = pass.shared[layer] {
                shared.keys.copy(from: new.keys)
                shared.values.copy(from: new.values)
            }
            return pass.rows.cache?.append(new, layer: layer) ?? new
        }
        guard let source,
            let all = pass.rows.cache?.read(layer: source, adding: pass.rows.positions.count) ?? pass.shared[source]
        else { preconditionFailure("keys of a layer that doesn't keep them") }
        return all
    }

    private func own(_ joined: Matrix) -> Attention.KeyValue {
        Attention.KeyValue(
            keys: joined[columns: width..<width + keyValueWidth],
            values: joined[columns: width + keyValueWidth..<width + 2 * keyValueWidth])
    }

    /// Norm and rotation.
    private func prepare(_ x: Matrix, _ norm: RMSNorm?, _ pass: DecoderPass) {
        if let norm, !norms.comesAfterRotation { norm.forward(heads: x) }
        if let rotation {
            for (range, rotary) in zip(pass.rows.turned, pass.rotations[rotation]) {
                rotary.apply(x[rows: range], positionOf: Array(pass.rows.positions[range]))
            }
        }
        if let norm, norms.comesAfterRotation { norm.forward(heads: x) }
    }
}
