import Shared

/// One rank's part of a decoder: which output and input features of which tensors it reads.
struct DecoderShard {
    let description: DecoderDescription
    let names: DecoderTensorNames
    let plan: WeightPlan
    let communicator: any Communicator
    let expertParallel: Bool
    let heads: Range<Int>
    /// Every key/value head that one of this rank's query heads reads; neighbours may hold it too.
    let keyValueHeads: Range<Int>
    let headsPerGroup: Int

    init(
        _ description: DecoderDescription, _ plan: WeightPlan, _ communicator: any Communicator, expertParallel: Bool
    ) {
        self.description = description
        self.plan = plan
        self.communicator = communicator
        self.expertParallel = expertParallel
        names = DecoderTensorNames(plan)
        heads = shard(description.numAttentionHeads, rank: communicator.rank, of: communicator.size)
        headsPerGroup = description.numAttentionHeads / description.numKeyValueHeads
        keyValueHeads = heads.lowerBound / headsPerGroup..<(heads.upperBound - 1) / headsPerGroup + 1
    }

    func part(_ count: Int) -> Range<Int> { shard(count, rank: communicator.rank, of: communicator.size) }

    func layer(_ index: Int) throws(WeightsError) -> DecoderLayer {
        let (name, layer) = (names.layer(index), description.layers[index])
        let before = description.hasOutputNorms ? "pre_feedforward_layernorm" : "post_attention_layernorm"
        return DecoderLayer(
            attention: try attention("\(name).self_attn", layer),
            feedForward: try feedForward("\(name).\(description.feedForwardName)", layer.feedForward),
            attentionNorms: try norms(name, "input_layernorm", "post_attention_layernorm"),
            feedForwardNorms: try norms(name, before, "post_feedforward_layernorm"),
            communicator: communicator)
    }

    private func norms(_ layer: String, _ input: String, _ output: String) throws(WeightsError) -> DecoderLayer.Norms {
        DecoderLayer.Norms(
            input: try norm("\(layer).\(input)", description.hiddenSize),
            output: description.hasOutputNorms ? try norm("\(layer).\(output)", description.hiddenSize) : nil)
    }

    func norm(_ name: String, _ count: Int) throws(WeightsError) -> RMSNorm {
        let weight = plan.vector(count)
        plan.read(try plan.tensor("\(name).weight", [count]), features: Array(0..<count), into: weight)
        plan.add(description.normOffset, to: weight)
        return RMSNorm(weight: Parameter(frozen: weight), epsilon: description.rmsNormEpsilon)
    }

    /// This rank's rows of [vocabulary, hidden].
    func vocabularyRows(_ name: String) throws(WeightsError) -> FrozenWeight {
        let (rows, h) = (part(description.vocabSize), description.hiddenSize)
        let weight = plan.weight(rows: rows.count, columns: h)
        let tensor = try plan.tensor("\(name).weight", [description.vocabSize, h])
        plan.read(tensor, outputs: Array(rows), inputs: 0..<h, into: weight)
        return weight
    }
}

// MARK: - Linear maps

extension DecoderShard {
    /// Some output features of several maps from the hidden states, below each other.
    func columnParallel(
        _ parts: [(name: String, outputs: [Int], total: Int)], hasBias: Bool
    ) throws(WeightsError) -> ColumnParallelLinear {
        let (count, h) = (parts.reduce(0) { $0 + $1.outputs.count }, description.hiddenSize)
        let weight = plan.weight(rows: count, columns: h)
        let bias = hasBias ? plan.vector(count) : nil
        var first = 0
        for (name, outputs, total) in parts {
            let range = first..<first + outputs.count
            plan.read(
                try plan.tensor("\(name).weight", [total, h]), outputs: outputs, inputs: 0..<h,
                into: weight[rows: range])
            if let bias {
                plan.read(try plan.tensor("\(name).bias", [total]), features: outputs, into: bias[columns: range])
            }
            first = range.upperBound
        }
        return ColumnParallelLinear(weight: weight, bias: bias)
    }

    /// Some input features of a map to the hidden states.
    func rowParallel(
        _ name: String, _ inputs: Range<Int>, of total: Int, hasBias: Bool
    ) throws(WeightsError) -> RowParallelLinear {
        let h = description.hiddenSize
        let weight = plan.weight(rows: h, columns: inputs.count)
        plan.read(try plan.tensor("\(name).weight", [h, total]), outputs: Array(0..<h), inputs: inputs, into: weight)
        let bias = hasBias ? try vector("\(name).bias", h) : nil
        return RowParallelLinear(weight: weight, bias: communicator.rank == 0 ? bias : nil)
    }

    func vector(_ name: String, _ count: Int) throws(WeightsError) -> Matrix {
        let matrix = plan.vector(count)
        plan.read(try plan.tensor(name, [count]), features: Array(0..<count), into: matrix)
        return matrix
    }
}
