import Shared

extension GGUFMetadata {
    /// What llama.cpp wants to know of every draft: its sizes, its rotation, and the target's layers that it sees.
    ///
    /// - Parameters:
    ///   - architecture: What the keys begin with.
    ///   - targetLayers: As outputs of layers; the file has them as inputs.
    init(
        _ architecture: String, layers: Int, hiddenSize: Int, intermediateSize: Int, heads: Int, keyValueHeads: Int,
        headDim: Int, epsilon: Float, _ rope: RopeConfiguration, vocabSize: Int, targetLayers: [Int]
    ) {
        self.init()
        let sizes: [(String, Int)] = [
            ("block_count", layers), ("context_length", rope.maxPositionEmbeddings), ("embedding_length", hiddenSize),
            ("feed_forward_length", intermediateSize), ("attention.head_count", heads),
            ("attention.head_count_kv", keyValueHeads), ("attention.key_length", headDim),
            ("attention.value_length", headDim), ("rope.dimension_count", headDim), ("vocab_size", vocabSize),
        ]
        for (key, value) in sizes { append("\(architecture).\(key)", UInt32(value)) }
        append("\(architecture).attention.layer_norm_rms_epsilon", epsilon)
        append("\(architecture).rope.freq_base", Float(rope.theta))
        append("\(architecture).target_layers", AuxiliaryLayers(outputs: targetLayers).inputs.map(UInt32.init))
    }
}
