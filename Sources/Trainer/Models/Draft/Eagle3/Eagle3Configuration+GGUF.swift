import Shared

/// An EAGLE-3 draft as llama.cpp reads it: architecture `eagle3`, as its converter writes it (`conversion/llama.py`) and
/// `src/models/eagle3.cpp` loads it.
extension Eagle3Configuration {
    var method: String { "eagle3" }

    func ggufForm() throws(JSONError) -> GGUFDraftForm? {
        GGUFDraftForm(
            architecture: method, metadata: try metadata(), names: Self.ggufNames, rowOrder: rowOrder,
            constants: try rotaryFactors().map { [(GGUFFile.rotaryFactors, $0)] } ?? [])
    }

    private static let ggufNames: [String: String] = [
        "fc.weight": "fc.weight", "input_norm.weight": "enc.output_norm.weight", "norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight", "midlayer.input_layernorm.weight": "blk.0.attn_norm.weight",
        "midlayer.hidden_norm.weight": "blk.0.attn_norm_2.weight",
        "midlayer.self_attn.q_proj.weight": "blk.0.attn_q.weight",
        "midlayer.self_attn.k_proj.weight": "blk.0.attn_k.weight",
        "midlayer.self_attn.v_proj.weight": "blk.0.attn_v.weight",
        "midlayer.self_attn.o_proj.weight": "blk.0.attn_output.weight",
        "midlayer.post_attention_layernorm.weight": "blk.0.ffn_norm.weight",
        "midlayer.mlp.gate_proj.weight": "blk.0.ffn_gate.weight",
        "midlayer.mlp.up_proj.weight": "blk.0.ffn_up.weight",
        "midlayer.mlp.down_proj.weight": "blk.0.ffn_down.weight",
    ]

    /// Queries and keys with the two halves of each head's rotation interleaved: llama.cpp turns neighbours.
    private func rowOrder(_ name: String) -> [Int]? {
        let heads: Int
        switch name {
        case "midlayer.self_attn.q_proj.weight": heads = shape.numAttentionHeads
        case "midlayer.self_attn.k_proj.weight": heads = shape.numKeyValueHeads
        default: return nil
        }
        let half = shape.headDim / 2
        return (0..<heads * shape.headDim).map { row in
            let (head, index) = (row / shape.headDim, row % shape.headDim)
            return head * shape.headDim + index % 2 * half + index / 2
        }
    }

    private func metadata() throws(JSONError) -> GGUFMetadata {
        var metadata = GGUFMetadata(
            "eagle3", layers: shape.numHiddenLayers, hiddenSize: shape.hiddenSize,
            intermediateSize: shape.intermediateSize, heads: shape.numAttentionHeads,
            keyValueHeads: shape.numKeyValueHeads, headDim: shape.headDim, epsilon: shape.rmsNormEpsilon, rope,
            vocabSize: vocabSize, targetLayers: targetLayers)
        metadata.append("eagle3.target_hidden_size", UInt32(shape.targetHiddenSize))
        try appendScaling(to: &metadata)
        metadata.append("eagle3.norm_before_residual", shape.normBeforeResidual)
        metadata.append("eagle3.norm_before_fc", shape.normBeforeFC)
        return metadata
    }

    private func appendScaling(to metadata: inout GGUFMetadata) throws(JSONError) {
        switch rope.type {
        case "default", "llama3": return
        case "linear", "yarn":
            metadata.append("eagle3.rope.scaling.type", rope.type)
            metadata.append("eagle3.rope.scaling.factor", Float(try rope.parameter("factor")))
            if rope.type == "yarn" {
                let original =
                    rope.optional("original_max_position_embeddings") ?? Double(rope.maxPositionEmbeddings)
                guard let length = UInt32(exactly: original.rounded()) else {
                    throw JSONError(
                        "key 'rope_scaling.original_max_position_embeddings' is \(original), should be a number of tokens",
                        at: rope.path)
                }
                metadata.append("eagle3.rope.scaling.original_context_length", length)
                for (key, name) in [("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")] {
                    if let value = rope.optional(key) { metadata.append("eagle3.rope.scaling.\(name)", Float(value)) }
                }
            }
        default: throw rope.unsupported(["default", "linear", "llama3", "yarn"])
        }
    }

    /// By what the rotation's frequencies are divided: Llama 3.1's scaling, for which llama.cpp has a tensor.
    private func rotaryFactors() throws(JSONError) -> [Float]? {
        let headDim = shape.headDim
        guard rope.type == "llama3" else { return nil }
        let plain = RotaryFrequencies.plain(theta: rope.theta, headDim: headDim)
        return zip(plain, try RotaryScaling(rope, headDim: headDim).fixedFrequencies).map { Float($0 / $1) }
    }
}
