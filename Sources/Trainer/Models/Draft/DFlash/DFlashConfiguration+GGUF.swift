import Shared

/// A DFlash or DSpark draft as llama.cpp reads it: architecture `dflash`, as its converter writes it (`conversion/qwen.py`) and
/// `src/models/dflash.cpp` loads it. Rows of queries and keys keep their order: llama.cpp turns halves.
extension DFlashConfiguration {
    /// - Throws: `JSONError` for a scaled rotation, which llama.cpp drops of such drafts.
    func ggufForm() throws(JSONError) -> GGUFDraftForm? {
        guard rope.type == "default" else { throw rope.unsupported(["default"]) }
        return GGUFDraftForm(
            architecture: "dflash", metadata: metadata, names: ggufNames, rowOrder: { _ in nil }, constants: [],
            maskToken: shape.maskToken)
    }

    private var ggufNames: [String: String] {
        let parts = [
            ("input_layernorm", "attn_norm"), ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"),
            ("self_attn.v_proj", "attn_v"), ("self_attn.q_norm", "attn_q_norm"), ("self_attn.k_norm", "attn_k_norm"),
            ("self_attn.o_proj", "attn_output"), ("post_attention_layernorm", "ffn_norm"),
            ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
        ]
        var names = [
            "fc.weight": "fc.weight", "hidden_norm.weight": "enc.output_norm.weight",
            "norm.weight": "output_norm.weight", "lm_head.weight": "output.weight",
            "markov_head.markov_w1.weight": "markov_w1.weight", "markov_head.markov_w2.weight": "markov_w2.weight",
            "confidence_head.proj.weight": "conf_proj.weight", "confidence_head.proj.bias": "conf_proj.bias",
        ]
        for layer in 0..<shape.numHiddenLayers {
            for (own, name) in parts { names["layers.\(layer).\(own).weight"] = "blk.\(layer).\(name).weight" }
        }
        return names
    }

    private var metadata: GGUFMetadata {
        var metadata = GGUFMetadata(
            "dflash", layers: shape.numHiddenLayers, hiddenSize: shape.hiddenSize,
            intermediateSize: shape.intermediateSize, heads: shape.numAttentionHeads,
            keyValueHeads: shape.numKeyValueHeads, headDim: shape.headDim, epsilon: shape.rmsNormEpsilon, rope,
            vocabSize: vocabSize, targetLayers: targetLayers)
        metadata.append("dflash.block_size", UInt32(shape.blockSize))
        metadata.append("dflash.sample_from_anchor", shape.anchorFirst)
        metadata.append("dflash.has_confidence_head", shape.confidence != nil)
        // One rule for all layers; without the key a block's rows see each other both ways.
        if shape.spans.allSatisfy(\.isCausal) { metadata.append("dflash.attention.causal", true) }
        return metadata
    }
}
