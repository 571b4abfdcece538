import Shared

/// Loading a decoder's weights: each rank reads and converts its own part and nothing else.
extension DecoderTargetModel {
    init(
        _ description: DecoderDescription, weights: WeightDirectory, communicator: any Communicator, positions: Int,
        precision: MatrixPrecision
    ) throws {
        guard communicator.size <= description.numAttentionHeads else {
            throw CommunicationError(
                operation: "--tp-size \(communicator.size)",
                message: "is more than the target's \(description.numAttentionHeads) attention heads")
        }
        let loader = ShardLoader(description, weights, communicator, precision)
        self.description = description
        self.communicator = communicator
        memory = loader.memory
        let vocabulary = loader.part(description.vocabSize)
        embedding = VocabParallelEmbedding(
            vocabulary: vocabulary,
            weight: try loader.rows("model.embed_tokens.weight", vocabulary, of: description.vocabSize),
            communicator: communicator)
        let rotary = RotaryEmbedding(frequencies: description.rotaryFrequencies, positions: positions)
        layers = try (0..<description.numHiddenLayers).map { try loader.layer($0, rotary) }
        norm = RMSNorm(
            weight: Parameter(frozen: try loader.vector("model.norm.weight", description.hiddenSize)),
            epsilon: description.rmsNormEpsilon)
        head = ColumnParallelLinear(
            weight: description.tiesWordEmbeddings
                ? embedding.weight : try loader.rows("lm_head.weight", vocabulary, of: description.vocabSize),
            bias: nil)
    }
}

/// Reads one rank's part of a decoder.
private struct ShardLoader {
    let description: DecoderDescription
    let weights: WeightDirectory
    let communicator: any Communicator
    let precision: MatrixPrecision
    let memory = FrozenWeights()

    init(
        _ description: DecoderDescription, _ weights: WeightDirectory, _ communicator: any Communicator,
        _ precision: MatrixPrecision
    ) {
        self.precision = precision
        self.description = description
        self.weights = weights
        self.communicator = communicator
    }

    func part(_ count: Int) -> Range<Int> { shard(count, rank: communicator.rank, of: communicator.size) }

    func layer(_ index: Int, _ rotary: RotaryEmbedding) throws -> DecoderLayer {
        let (d, name) = (description, "model.layers.\(index)")
        let heads = part(d.numAttentionHeads)
        // Every key/value head that one of this rank's query heads reads; neighbours may hold it too.
        let perGroup = d.numAttentionHeads / d.numKeyValueHeads
        let kvHeads = heads.lowerBound / perGroup..<(heads.upperBound - 1) / perGroup + 1
        let features = { (heads: Range<Int>) in heads.lowerBound * d.headDim..<heads.upperBound * d.headDim }
        let intermediate = part(d.intermediateSize)
        let attention = "\(name).self_attn"
        return DecoderLayer(
            inputNorm: try norm("\(name).input_layernorm.weight"),
            qkv: try columnParallel(
                [
                    ("\(attention).q_proj", features(heads), d.numAttentionHeads * d.headDim),
                    ("\(attention).k_proj", features(kvHeads), d.numKeyValueHeads * d.headDim),
                    ("\(attention).v_proj", features(kvHeads), d.numKeyValueHeads * d.headDim),
                ], hasBias: d.hasQKVBias),
            output: try rowParallel(
                "\(attention).o_proj", features(heads), of: d.numAttentionHeads * d.headDim, hasBias: d.hasOutputBias),
            postAttentionNorm: try norm("\(name).post_attention_layernorm.weight"),
            gateUp: try columnParallel(
                [
                    ("\(name).mlp.gate_proj", intermediate, d.intermediateSize),
                    ("\(name).mlp.up_proj", intermediate, d.intermediateSize),
                ], hasBias: d.hasMLPBias),
            down: try rowParallel(
                "\(name).mlp.down_proj", intermediate, of: d.intermediateSize, hasBias: d.hasMLPBias),
            attention: Attention(
                numHeads: heads.count, headDim: d.headDim,
                keyValueHead: heads.map { $0 / perGroup - kvHeads.lowerBound },
                scale: 1 / Float(d.headDim).squareRoot()),
            rotary: rotary)
    }

    private func norm(_ name: String) throws -> RMSNorm {
        RMSNorm(
            weight: Parameter(frozen: try vector(name, description.hiddenSize)), epsilon: description.rmsNormEpsilon)
    }

    func vector(_ name: String, _ count: Int) throws(WeightsError) -> Matrix {
        let tensor = try weights.tensor(name)
        try tensor.expect([count])
        let vector = memory.matrix(rows: 1, columns: count)
        try tensor.copy(rows: 0..<1, columns: 0..<count, into: vector.start, stride: vector.stride)
        return vector
    }

    /// Some rows of [total, hidden].
    func rows(_ name: String, _ range: Range<Int>, of total: Int) throws(WeightsError) -> FrozenWeight {
        let tensor = try weights.tensor(name)
        try tensor.expect([total, description.hiddenSize])
        return try copy(tensor, rows: range, columns: 0..<description.hiddenSize)
    }

    /// Some output features of several maps from the hidden states, below each other.
    private func columnParallel(
        _ parts: [(name: String, rows: Range<Int>, total: Int)], hasBias: Bool
    ) throws(WeightsError) -> ColumnParallelLinear {
        let count = parts.reduce(0) { $0 + $1.rows.count }
        let weight = memory.weight(rows: count, columns: description.hiddenSize, precision)
        let bias = hasBias ? memory.matrix(rows: 1, columns: count) : nil
        var first = 0
        for part in parts {
            let tensor = try weights.tensor("\(part.name).weight")
            try tensor.expect([part.total, description.hiddenSize])
            try weight.read(tensor, rows: part.rows, columns: 0..<description.hiddenSize, at: first)
            if let bias {
                let tensor = try weights.tensor("\(part.name).bias")
                try tensor.expect([part.total])
                try tensor.copy(rows: 0..<1, columns: part.rows, into: bias.start + first, stride: count)
            }
            first += part.rows.count
        }
        return ColumnParallelLinear(weight: weight, bias: bias)
    }

    /// Some input features of a map to the hidden states.
    private func rowParallel(
        _ name: String, _ columns: Range<Int>, of total: Int, hasBias: Bool
    ) throws(WeightsError) -> RowParallelLinear {
        let tensor = try weights.tensor("\(name).weight")
        try tensor.expect([description.hiddenSize, total])
        return RowParallelLinear(
            weight: try copy(tensor, rows: 0..<description.hiddenSize, columns: columns),
            bias: hasBias ? try vector("\(name).bias", description.hiddenSize) : nil, communicator: communicator)
    }

    private func copy(
        _ tensor: StoredTensor, rows: Range<Int>, columns: Range<Int>
    ) throws(WeightsError) -> FrozenWeight {
        let weight = memory.weight(rows: rows.count, columns: columns.count, precision)
        try weight.read(tensor, rows: rows, columns: columns)
        return weight
    }
}
