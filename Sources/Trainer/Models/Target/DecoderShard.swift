import Shared

/// One rank's part of a decoder: which output and input features of which tensors it reads.
struct DecoderShard {
    let description: DecoderDescription
    let names: DecoderTensorNames
    let plan: WeightPlan
    let communicator: any Communicator
    let expertParallel: Bool
    /// This rank's query heads.
    let heads: Range<Int>

    init(
        _ description: DecoderDescription, _ plan: WeightPlan, _ communicator: any Communicator, expertParallel: Bool
    ) {
        self.description = description
        self.plan = plan
        self.communicator = communicator
        self.expertParallel = expertParallel
        names = DecoderTensorNames(plan)
        heads = shard(description.numAttentionHeads, rank: communicator.rank, of: communicator.size)
    }

    func part(_ count: Int) -> Range<Int> { shard(count, rank: communicator.rank, of: communicator.size) }

    func layer(_ index: Int) throws(WeightsError) -> DecoderLayer {
        let (name, layer) = (names.layer(index), description.layers[index])
        return DecoderLayer(
            mixer: try mixer(name, layer),
            feedForward: try feedForward(name, layer.feedForward),
            mixerNorms: try norms(name, mixerNormNames(layer)),
            feedForwardNorms: try norms(name, feedForwardNormNames(layer)), isParallel: description.isParallel,
            residualScale: description.residualScale, perLayerInput: try perLayerInput(name),
            outputScale: layer.hasOutputScale ? try vector("\(name).layer_scalar", 1) : nil, communicator: communicator)
    }

    private func mixer(
        _ name: String, _ layer: DecoderDescription.Layer
    ) throws(WeightsError) -> DecoderLayer.Mixer {
        switch layer.mixer {
        case .none: .none
        case .attention: .attention(try attention("\(name).self_attn", layer))
        case .latentAttention(let sizes): .latent(try latentAttention("\(name).self_attn", layer, sizes))
        case .shortConvolution(let taps): .recurrent(try shortConvolution("\(name).short_conv", taps: taps))
        case .gatedDelta(let sizes): .recurrent(try gatedDelta("\(name).linear_attn", sizes))
        case .stateSpace(let sizes): .recurrent(try stateSpace("\(name).mamba", sizes))
        }
    }

    private func mixerNormNames(_ layer: DecoderDescription.Layer) -> [String?] {
        if case .none = layer.mixer { return [nil, nil] }
        return [description.norms.mixerInput, description.norms.mixerOutput]
    }

    private func feedForwardNormNames(_ layer: DecoderDescription.Layer) -> [String?] {
        if case .none = layer.feedForward { return [nil, nil] }
        return [description.norms.feedForwardInput, description.norms.feedForwardOutput]
    }

    private func norms(_ layer: String, _ names: [String?]) throws(WeightsError) -> DecoderLayer.Norms {
        let norms = try names.map { name throws(WeightsError) in
            try name.map { name throws(WeightsError) in try hiddenNorm("\(layer).\(name)") }
        }
        return DecoderLayer.Norms(input: norms[0], output: norms[1])
    }

    private func perLayerInput(_ layer: String) throws(WeightsError) -> PerLayerInput? {
        guard let size = description.perLayerInputs?.size else { return nil }
        return PerLayerInput(
            gate: try columnParallel([("\(layer).per_layer_input_gate", Array(0..<size), size)], hasBias: false),
            projection: try columnParallel(
                [("\(layer).per_layer_projection", Array(0..<description.hiddenSize), description.hiddenSize)],
                inputs: size, hasBias: false),
            norm: try hiddenNorm("\(layer).post_per_layer_input_norm"))
    }
}

// MARK: - Norms and vectors

extension DecoderShard {
    /// A norm of hidden states, of the model's kind.
    func hiddenNorm(_ name: String) throws(WeightsError) -> FrozenNorm {
        let norm = try norm(name, description.hiddenSize)
        return switch description.norm {
        case .rms: .rms(norm)
        case .layer: .layer(LayerNorm(weight: norm.weight.weight, epsilon: norm.epsilon))
        }
    }

    func norm(_ name: String, _ count: Int, epsilon: Float? = nil, offset: Float? = nil) throws(WeightsError) -> RMSNorm
    {
        let weight = try vector("\(name).weight", count)
        plan.add(offset ?? description.normOffset, to: weight)
        return RMSNorm(weight: Parameter(frozen: weight), epsilon: epsilon ?? description.normEpsilon)
    }

    /// A norm without weights.
    func plainNorm(_ count: Int) -> RMSNorm {
        let ones = plan.vector(count)
        plan.add(1, to: ones)
        return RMSNorm(weight: Parameter(frozen: ones), epsilon: description.normEpsilon)
    }

    func vector(_ name: String, _ count: Int) throws(WeightsError) -> Matrix {
        try vector(name, Array(0..<count), of: count)
    }

    /// Some features of a vector.
    func vector(_ name: String, _ features: [Int], of count: Int) throws(WeightsError) -> Matrix {
        let matrix = plan.vector(features.count)
        plan.read(try plan.tensor(name, [count]), features: features, into: matrix)
        return matrix
    }
}

// MARK: - Linear maps

extension DecoderShard {
    /// This rank's rows of [vocabulary, features].
    func vocabularyRows(
        _ name: String, _ vocabSize: Int? = nil, features: Int? = nil
    ) throws(WeightsError) -> FrozenWeight {
        let (vocabSize, h) = (vocabSize ?? description.vocabSize, features ?? description.hiddenSize)
        let tensor = try plan.tensor("\(name).weight", [vocabSize, h])
        return plan.weight([WeightPlan.Rows(tensor: tensor, outputs: Array(part(vocabSize)))], inputs: 0..<h)
    }

    /// Some output features of several maps from the hidden states, or from a number of inputs, below each other.
    func columnParallel(
        _ parts: [(name: String, outputs: [Int], total: Int)], inputs: Int? = nil, hasBias: Bool
    ) throws(WeightsError) -> ColumnParallelLinear {
        let (count, h) = (parts.reduce(0) { $0 + $1.outputs.count }, inputs ?? description.hiddenSize)
        let bias = hasBias ? plan.vector(count) : nil
        var (first, rows) = (0, [WeightPlan.Rows]())
        for (name, outputs, total) in parts {
            rows.append(WeightPlan.Rows(tensor: try plan.tensor("\(name).weight", [total, h]), outputs: outputs))
            let range = first..<first + outputs.count
            if let bias {
                plan.read(try plan.tensor("\(name).bias", [total]), features: outputs, into: bias[columns: range])
            }
            first = range.upperBound
        }
        return ColumnParallelLinear(weight: plan.weight(rows, inputs: 0..<h), bias: bias)
    }

    /// Some input features of a map to the hidden states.
    func rowParallel(
        _ name: String, _ inputs: Range<Int>, of total: Int, hasBias: Bool
    ) throws(WeightsError) -> RowParallelLinear {
        let h = description.hiddenSize
        let tensor = try plan.tensor("\(name).weight", [h, total])
        let weight = plan.weight([WeightPlan.Rows(tensor: tensor, outputs: Array(0..<h))], inputs: inputs)
        let bias = hasBias ? try vector("\(name).bias", h) : nil
        return RowParallelLinear(weight: weight, bias: communicator.rank == 0 ? bias : nil)
    }

    /// A map whose few outputs every rank makes in float32, as what they decide hangs on their last digits.
    func exactMap(_ name: String, _ outputs: Int, hasBias: Bool = false) throws(WeightsError) -> ColumnParallelLinear {
        let h = description.hiddenSize
        let weight = plan.memory.weight(rows: outputs, columns: h, .float32)
        plan.read(
            try plan.tensor("\(name).weight", [outputs, h]), outputs: Array(0..<outputs), inputs: 0..<h, into: weight)
        return ColumnParallelLinear(weight: weight, bias: hasBias ? try vector("\(name).bias", outputs) : nil)
    }
}
