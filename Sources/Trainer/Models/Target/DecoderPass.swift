/// What all layers of one forward pass share.
struct DecoderPass {
    let rows: DecoderRows
    /// For each of the model's rotations the tables of each sequence.
    let rotations: [[RotaryEmbedding]]
    /// Keys and values that later layers read too, by the layer that makes them; empty where a cache has them.
    let shared: [Int: Attention.KeyValue]
    /// [rows, layers · size]: each token's embedding for each layer; nil where there is none.
    let perLayer: Matrix?
    let layerCount: Int

    /// [rows, size]: the embeddings for one layer.
    func perLayerInputs(_ layer: Int) -> Matrix? {
        guard let perLayer else { return nil }
        let size = perLayer.columns / layerCount
        return perLayer[columns: layer * size..<(layer + 1) * size]
    }
}
