import Shared

/// A rank's heads of attention.
extension DecoderShard {
    /// The heads of a layer that this rank has.
    struct Heads {
        let query: Range<Int>
        /// Every key/value head that one of its query heads reads; neighbours may hold it too.
        let keyValue: Range<Int>
        let perGroup: Int
        let headDim: Int

        /// Whether this rank is the first to have a key/value head.
        func owns(_ head: Int) -> Bool { query.contains(head * perGroup) }

        /// The key/value head of each query head, counted within this rank's.
        var keyValueHead: [Int] { query.map { $0 / perGroup - keyValue.lowerBound } }
        var keyValueWidth: Int { keyValue.count * headDim }
    }

    func heads(_ layer: DecoderDescription.Layer) -> Heads {
        let perGroup = description.numAttentionHeads / description.numKeyValueHeads(layer)
        let keyValue = heads.lowerBound / perGroup..<(heads.upperBound - 1) / perGroup + 1
        return Heads(query: heads, keyValue: keyValue, perGroup: perGroup, headDim: description.headDim(layer))
    }

    func attention(
        _ name: String, _ layer: DecoderDescription.Layer
    ) throws(WeightsError) -> DecoderAttention {
        let (d, own) = (description, heads(layer))
        let size = own.headDim
        let features = heads.lowerBound * size..<heads.upperBound * size
        return DecoderAttention(
            qkv: try queriesKeysValues(name, layer, own),
            output: try rowParallel(
                "\(name).o_proj", features, of: d.numAttentionHeads * size, hasBias: d.hasOutputBias),
            heads: try headAttention(name, layer, own), hasGate: d.hasOutputGate)
    }

    /// What heads do with queries, keys and values.
    private func headAttention(
        _ name: String, _ layer: DecoderDescription.Layer, _ own: Heads
    ) throws(WeightsError) -> HeadAttention {
        var source: Int?
        if case .layer(let index) = layer.keyValues { source = index }
        var norms = try headNorms(name, layer.headNorm, own, hasKeys: source == nil)
        if layer.normalizesValues, source == nil { norms.value = plainNorm(own.headDim) }
        return HeadAttention(
            attention: try streamingAttention(name, layer, own), keyValueWidth: own.keyValueWidth, norms: norms,
            rotation: layer.rotation, temperature: layer.temperature, source: source)
    }

    private func streamingAttention(
        _ name: String, _ layer: DecoderDescription.Layer, _ own: Heads
    ) throws(WeightsError) -> StreamingAttention {
        var attention = StreamingAttention(
            numHeads: own.query.count, headDim: own.headDim, keyValueHead: own.keyValueHead,
            scale: description.attentionScale, span: layer.span, precision: plan.compute.precision)
        attention.scoreCap = description.scoreCap
        if description.hasSinks {
            attention.sinks = try vector("\(name).sinks", Array(heads), of: description.numAttentionHeads)
        }
        return attention
    }

    private func queriesKeysValues(
        _ name: String, _ layer: DecoderDescription.Layer, _ own: Heads
    ) throws(WeightsError) -> ColumnParallelLinear {
        let (d, size) = (description, own.headDim)
        let (queryWidth, keyValueWidth) = (d.numAttentionHeads * size, d.numKeyValueHeads(layer) * size)
        let turned = layer.rotation.map { d.hasInterleavedRotation ? d.rotations[$0].turned : 0 } ?? 0
        let q = features(own.query, size, interleaved: turned)
        let k = features(own.keyValue, size, interleaved: turned)
        let v = features(own.keyValue, size, interleaved: 0)
        if d.hasFusedQKV {
            let outputs = q + k.map { $0 + queryWidth } + v.map { $0 + queryWidth + keyValueWidth }
            return try columnParallel(
                [("\(name).qkv_proj", outputs, queryWidth + 2 * keyValueWidth)], hasBias: d.hasQKVBias)
        }
        var parts: [(name: String, outputs: [Int], total: Int)] = []
        if d.hasOutputGate {
            // A head's features, and then its gates.
            let inPairs = { (feature: Int) in feature / size * 2 * size + feature % size }
            parts.append(("\(name).q_proj", q.map(inPairs), 2 * queryWidth))
        } else {
            parts.append(("\(name).q_proj", q, queryWidth))
        }
        switch layer.keyValues {
        case .projected:
            parts += [("\(name).k_proj", k, keyValueWidth), ("\(name).v_proj", v, keyValueWidth)]
        case .keysAlone: parts += [("\(name).k_proj", k, keyValueWidth), ("\(name).k_proj", v, keyValueWidth)]
        case .layer: break
        }
        if d.hasOutputGate {
            let gates = features(own.query, size, interleaved: 0).map { $0 / size * 2 * size + size + $0 % size }
            parts.append(("\(name).q_proj", gates, 2 * queryWidth))
        }
        return try columnParallel(parts, hasBias: d.hasQKVBias)
    }

    /// The output features of some heads.
    ///
    /// Where the pairs that a rotation turns are neighbours, the first of each come before the second: the layout of
    /// `RotaryEmbedding`. Scores don't depend on the order, which is that of queries and of keys.
    ///
    /// - Parameter turned: Elements of a head whose pairs are neighbours, from its beginning.
    func features(_ heads: Range<Int>, _ size: Int, interleaved turned: Int) -> [Int] {
        heads.flatMap { head in
            (0..<size).map { index in
                guard index < turned else { return head * size + index }
                return head * size + (index < turned / 2 ? 2 * index : 2 * index - turned + 1)
            }
        }
    }

    private func headNorms(
        _ name: String, _ kind: DecoderDescription.HeadNorm, _ own: Heads, hasKeys: Bool
    ) throws(WeightsError) -> HeadAttention.Norms {
        var norms = HeadAttention.Norms()
        switch kind {
        case .none: break
        case .weighted, .weightedAfterRotation:
            norms.byHead = (
                try norm("\(name).q_norm", own.headDim), hasKeys ? try norm("\(name).k_norm", own.headDim) : nil
            )
            if case .weightedAfterRotation = kind { norms.comesAfterRotation = true }
        case .joint: norms.joint = try jointNorm(name, own)
        case .plain:
            let norm = plainNorm(own.headDim)
            norms.byHead = (norm, norm)
        }
        return norms
    }

    /// The norms over all heads of queries and of keys.
    private func jointNorm(_ name: String, _ own: Heads) throws(WeightsError) -> DividedRMSNorm {
        let (size, width) = (own.headDim, own.query.count * own.headDim)
        let totals = [description.numAttentionHeads, description.numKeyValueHeads].map { $0 * size }
        let weight = plan.vector(width + own.keyValueWidth)
        for (part, heads, total, columns) in [
            ("q_norm", own.query, totals[0], 0..<width), ("k_norm", own.keyValue, totals[1], width..<weight.columns),
        ] {
            plan.read(
                try plan.tensor("\(name).\(part).weight", [total]),
                features: Array(heads.lowerBound * size..<heads.upperBound * size), into: weight[columns: columns])
        }
        let queries = DividedRMSNorm.Piece(columns: 0..<width, group: 0, isCounted: true)
        let keys = own.keyValue.enumerated().map { index, head in
            DividedRMSNorm.Piece(
                columns: width + index * size..<width + (index + 1) * size, group: 1, isCounted: own.owns(head))
        }
        return DividedRMSNorm(
            pieces: [queries] + keys, groupSizes: totals, weight: weight, epsilon: description.normEpsilon,
            communicator: communicator)
    }
}

// MARK: - Latent attention

extension DecoderShard {
    /// The norms of latents have the class's default of transformers, whatever the configuration says.
    private static let latentEpsilon: Float = 1e-6

    func latentAttention(
        _ name: String, _ layer: DecoderDescription.Layer, _ sizes: DecoderDescription.LatentSizes
    ) throws(WeightsError) -> LatentAttention {
        let d = description
        let size = sizes.headDim
        let own = Heads(query: heads, keyValue: heads, perGroup: 1, headDim: size)
        let turned = d.hasInterleavedRotation ? sizes.turnedDim : 0
        let keyTurn = features(0..<1, sizes.turnedDim, interleaved: turned).map { $0 + sizes.keyValueRank }
        var down: [(name: String, outputs: [Int], total: Int)] = [
            (
                "\(name).kv_a_proj_with_mqa", Array(0..<sizes.keyValueRank) + keyTurn,
                sizes.keyValueRank + sizes.turnedDim
            )
        ]
        if let rank = sizes.queryRank { down.insert(("\(name).q_a_proj", Array(0..<rank), rank), at: 0) }
        return LatentAttention(
            down: try columnParallel(down, hasBias: d.hasQKVBias),
            queryNorm: try sizes.queryRank.map { rank throws(WeightsError) in
                try norm("\(name).q_a_layernorm", rank, epsilon: Self.latentEpsilon)
            },
            queryUp: try latentQueries(name, sizes, turned),
            keyValueNorm: try norm("\(name).kv_a_layernorm", sizes.keyValueRank, epsilon: Self.latentEpsilon),
            keyValueUp: try latentKeysValues(name, sizes), turnedDim: sizes.turnedDim,
            output: try latentOutput(name, sizes),
            heads: try headAttention(name, layer, own))
    }

    /// To each head's [turned | plain] query, and zeros after it.
    private func latentQueries(
        _ name: String, _ sizes: DecoderDescription.LatentSizes, _ interleaved: Int
    ) throws(WeightsError) -> ColumnParallelLinear {
        let (width, inputs) = (sizes.plainDim + sizes.turnedDim, sizes.queryRank ?? description.hiddenSize)
        let part = sizes.queryRank == nil ? "q_proj" : "q_b_proj"
        let tensor = try plan.tensor("\(name).\(part).weight", [description.numAttentionHeads * width, inputs])
        let weight = plan.weight(rows: heads.count * sizes.headDim, columns: inputs)
        let turned = features(0..<1, sizes.turnedDim, interleaved: interleaved).map { $0 + sizes.plainDim }
        for (index, head) in heads.enumerated() {
            let outputs = (turned + Array(0..<sizes.plainDim)).map { head * width + $0 }
            let first = index * sizes.headDim
            plan.read(tensor, outputs: outputs, inputs: 0..<inputs, into: weight[rows: first..<first + width])
        }
        return ColumnParallelLinear(weight: weight, bias: nil)
    }

    /// To each head's key, whose turned part is left zero, and then to each head's value.
    private func latentKeysValues(
        _ name: String, _ sizes: DecoderDescription.LatentSizes
    ) throws(WeightsError) -> ColumnParallelLinear {
        let (rank, size) = (sizes.keyValueRank, sizes.headDim)
        let weight = plan.weight(rows: 2 * heads.count * size, columns: rank)
        let tensors = try latentUp(name, sizes)
        for (index, head) in heads.enumerated() {
            let key = index * size + sizes.turnedDim
            plan.read(
                tensors.keys.tensor, outputs: tensors.keys.outputs(head), inputs: 0..<rank,
                into: weight[rows: key..<key + sizes.plainDim])
            let value = (heads.count + index) * size
            plan.read(
                tensors.values.tensor, outputs: tensors.values.outputs(head), inputs: 0..<rank,
                into: weight[rows: value..<value + sizes.valueDim])
        }
        return ColumnParallelLinear(weight: weight, bias: nil)
    }

    private typealias Rows = (tensor: StoredTensor?, outputs: (Int) -> [Int])

    /// A head's rows of the map to keys and values.
    private func latentUp(
        _ name: String, _ sizes: DecoderDescription.LatentSizes
    ) throws(WeightsError) -> (keys: Rows, values: Rows) {
        let width = sizes.plainDim + sizes.valueDim
        let tensor = try plan.tensor(
            "\(name).kv_b_proj.weight", [description.numAttentionHeads * width, sizes.keyValueRank])
        return (
            (tensor, { head in Array(head * width..<head * width + sizes.plainDim) }),
            (tensor, { head in Array(head * width + sizes.plainDim..<(head + 1) * width) })
        )
    }

    /// From each head's value, and what stands after it, which counts for nothing.
    private func latentOutput(
        _ name: String, _ sizes: DecoderDescription.LatentSizes
    ) throws(WeightsError) -> RowParallelLinear {
        let (h, size) = (description.hiddenSize, sizes.valueDim)
        let tensor = try plan.tensor("\(name).o_proj.weight", [h, description.numAttentionHeads * size])
        let weight = plan.weight(rows: h, columns: heads.count * sizes.headDim)
        for (index, head) in heads.enumerated() {
            let first = index * sizes.headDim
            plan.read(
                tensor, outputs: Array(0..<h), inputs: head * size..<(head + 1) * size,
                into: weight[columns: first..<first + size])
        }
        let bias = description.hasOutputBias ? try vector("\(name).o_proj.bias", h) : nil
        return RowParallelLinear(weight: weight, bias: communicator.rank == 0 ? bias : nil)
    }
}

extension DecoderDescription.LatentSizes {
    /// What queries, keys and values are all brought to.
    var headDim: Int { max(plainDim + turnedDim, valueDim) }
}
