import Shared

/// A rank's heads of attention.
extension DecoderShard {
    func attention(
        _ name: String, _ layer: DecoderDescription.Layer
    ) throws(WeightsError) -> DecoderAttention {
        let d = description
        let queryWidth = d.numAttentionHeads * d.headDim
        var attention = StreamingAttention(
            numHeads: heads.count, headDim: d.headDim,
            keyValueHead: heads.map { $0 / headsPerGroup - keyValueHeads.lowerBound }, scale: d.attentionScale,
            span: layer.span, precision: plan.compute.precision)
        if d.hasSinks { attention.sinks = try sinks("\(name).sinks") }
        let features = heads.lowerBound * d.headDim..<heads.upperBound * d.headDim
        return DecoderAttention(
            qkv: try queriesKeysValues(name, layer),
            output: try rowParallel("\(name).o_proj", features, of: queryWidth, hasBias: d.hasOutputBias),
            attention: attention, headNorms: try headNorms(name, layer.headNorm), rotation: layer.rotation,
            temperature: layer.temperature)
    }

    private func queriesKeysValues(
        _ name: String, _ layer: DecoderDescription.Layer
    ) throws(WeightsError) -> ColumnParallelLinear {
        let d = description
        let (queryWidth, keyValueWidth) = (d.numAttentionHeads * d.headDim, d.numKeyValueHeads * d.headDim)
        let turned = layer.rotation != nil && d.hasInterleavedRotation
        let q = features(heads, areInterleaved: turned)
        let k = features(keyValueHeads, areInterleaved: turned)
        let v = features(keyValueHeads, areInterleaved: false)
        if d.hasFusedProjections {
            let outputs = q + k.map { $0 + queryWidth } + v.map { $0 + queryWidth + keyValueWidth }
            return try columnParallel(
                [("\(name).qkv_proj", outputs, queryWidth + 2 * keyValueWidth)], hasBias: d.hasQKVBias)
        }
        return try columnParallel(
            [
                ("\(name).q_proj", q, queryWidth), ("\(name).k_proj", k, keyValueWidth),
                ("\(name).v_proj", v, keyValueWidth),
            ], hasBias: d.hasQKVBias)
    }

    /// The output features of some heads.
    ///
    /// Where the pairs that a rotation turns are neighbours, the first of each come before the second: the layout of
    /// `RotaryEmbedding`. Scores don't depend on the order, which is that of queries and of keys.
    private func features(_ heads: Range<Int>, areInterleaved: Bool) -> [Int] {
        let size = description.headDim
        guard areInterleaved else { return Array(heads.lowerBound * size..<heads.upperBound * size) }
        return heads.flatMap { head in
            (0..<size).map { head * size + ($0 < size / 2 ? 2 * $0 : 2 * $0 - size + 1) }
        }
    }

    private func headNorms(
        _ name: String, _ kind: DecoderDescription.HeadNorm
    ) throws(WeightsError) -> (query: RMSNorm, key: RMSNorm)? {
        let size = description.headDim
        switch kind {
        case .none: return nil
        case .weighted: return (try norm("\(name).q_norm", size), try norm("\(name).k_norm", size))
        case .plain:
            let ones = plan.vector(size)
            plan.add(1, to: ones)
            let norm = RMSNorm(weight: Parameter(frozen: ones), epsilon: description.rmsNormEpsilon)
            return (norm, norm)
        }
    }

    private func sinks(_ name: String) throws(WeightsError) -> Matrix {
        let sinks = plan.vector(heads.count)
        plan.read(try plan.tensor(name, [description.numAttentionHeads]), features: Array(heads), into: sinks)
        return sinks
    }
}
