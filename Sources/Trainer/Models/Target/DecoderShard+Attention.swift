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
            output: try rowParallel(
                "\(name).o_proj", heads.lowerBound * sizes.valueDim..<heads.upperBound * sizes.valueDim,
                of: d.numAttentionHeads * sizes.valueDim, hasBias: d.hasOutputBias),
            heads: try headAttention(name, layer, own))
    }

    /// To each head's [turned | plain] query, and zeros after it.
    private func latentQueries(
        _ name: String, _ sizes: DecoderDescription.LatentSizes, _ interleaved: Int
    ) throws(WeightsError) -> ColumnParallelLinear {
        let (width, inputs) = (sizes.plainDim + sizes.turnedDim, sizes.queryRank ?? description.hiddenSize)
        let part = "\(name).\(sizes.queryRank == nil ? "q_proj" : "q_b_proj")"
        let turned = features(0..<1, sizes.turnedDim, interleaved: interleaved).map { $0 + sizes.plainDim }
        let outputs = { (head: Int) in (turned + Array(0..<sizes.plainDim)).map { head * width + $0 } }
        let total = description.numAttentionHeads * width
        guard width < sizes.headDim else {
            return try columnParallel([(part, heads.flatMap(outputs), total)], inputs: inputs, hasBias: false)
        }
        let tensor = try plan.tensor("\(part).weight", [total, inputs])
        let weight = plan.weight(rows: heads.count * sizes.headDim, columns: inputs, unpacking: [tensor])
        for (index, head) in heads.enumerated() {
            let first = index * sizes.headDim
            plan.read(tensor, outputs: outputs(head), inputs: 0..<inputs, into: weight[rows: first..<first + width])
        }
        return ColumnParallelLinear(weight: weight, bias: nil)
    }

    /// To each head's key, whose turned part is left zero, and then to each head's value.
    ///
    /// Unpacked: zeros are no part of the file, and where keys are apart from values they are transposed there.
    private func latentKeysValues(
        _ name: String, _ sizes: DecoderDescription.LatentSizes
    ) throws(WeightsError) -> ColumnParallelLinear {
        let (rank, size) = (sizes.keyValueRank, sizes.headDim)
        let parts = try latentUp(name, sizes)
        let tensors = heads.prefix(1).flatMap { [parts($0).keys.tensor, parts($0).values.tensor] }
        let weight = plan.weight(rows: 2 * heads.count * size, columns: rank, unpacking: tensors)
        for (index, head) in heads.enumerated() {
            let (keys, values) = parts(head)
            for (part, first) in [(keys, index * size + sizes.turnedDim), (values, (heads.count + index) * size)] {
                plan.read(
                    part.tensor, part.layout, outputs: part.outputs, inputs: 0..<rank,
                    into: weight[rows: first..<first + part.outputs.count])
            }
        }
        return ColumnParallelLinear(weight: weight, bias: nil)
    }

    /// A head's rows of the map to keys and values, or of the two that GGUF files have: of keys [heads, rank, features] and
    /// of values [heads, features, rank].
    private func latentUp(
        _ name: String, _ sizes: DecoderDescription.LatentSizes
    ) throws(WeightsError) -> (_ head: Int) -> (keys: WeightPlan.Rows, values: WeightPlan.Rows) {
        let (count, rank) = (description.numAttentionHeads, sizes.keyValueRank)
        let (plain, value) = (sizes.plainDim, sizes.valueDim)
        if plan.contains("\(name).k_b_proj.weight") {
            let keys = try plan.tensor("\(name).k_b_proj.weight", [count, rank, plain])
            let values = try plan.tensor("\(name).v_b_proj.weight", [count, value, rank])
            return { head in
                (
                    WeightPlan.Rows(tensor: keys, layout: .transposed(expert: head), outputs: Array(0..<plain)),
                    WeightPlan.Rows(tensor: values, outputs: (0..<value).map { head * value + $0 })
                )
            }
        }
        let width = plain + value
        let tensor = try plan.tensor("\(name).kv_b_proj.weight", [count * width, rank])
        return { head in
            (
                WeightPlan.Rows(tensor: tensor, outputs: (0..<plain).map { head * width + $0 }),
                WeightPlan.Rows(tensor: tensor, outputs: (plain..<width).map { head * width + $0 })
            )
        }
    }
}

extension DecoderDescription.LatentSizes {
    /// What queries, keys and values are all brought to.
    var headDim: Int { max(plainDim + turnedDim, valueDim) }
}
