import Shared

/// The EAGLE-3 draft, `LlamaForCausalLMEagle3`: one decoder layer over the target's features and the next token.
///
///     h₋₁ = fc [f_low | f_mid | f_high]                    the target's hidden states, once
///     x_k = [input_layernorm(e_k) | hidden_norm(h_{k−1})]  e_k: embedding of the token of step k
///     r_k = h_{k−1} + o_proj attention(x_k)                rows see step 0's prefix and their own steps
///     h_k = r_k + mlp(post_attention_layernorm(r_k))
///     z_k = lm_head norm(h_k)                              logits over the draft vocabulary
///
/// The next step's input is h_k before `norm` (Li et al. 2025, EAGLE-3; SpecForge's llama3_eagle.py, SGLang's
/// llama_eagle3.py). Weights have SpecForge's names; the embedding is the target's and is neither trained nor saved.
struct Eagle3DraftModel: DraftModel {
    let configuration: Shape
    let parameters: ParameterStore

    let fc: Linear
    let inputLayerNorm: RMSNorm
    let hiddenNorm: RMSNorm
    /// q_proj, k_proj and v_proj below each other: [(numHeads + 2 numKeyValueHeads) · headDim, 2 hidden].
    let qkvProjection: Linear
    let outputProjection: Linear
    let postAttentionLayerNorm: RMSNorm
    /// gate_proj and up_proj below each other: [2 intermediate, hidden].
    let gateUpProjection: Linear
    let downProjection: Linear
    let norm: RMSNorm
    let lmHead: Linear
    let rotary: RotaryEmbedding
    let attention: Attention

    /// The sizes that the model's weights follow from.
    struct Shape: Equatable, Sendable {
        var hiddenSize: Int
        var targetHiddenSize: Int
        var intermediateSize: Int
        var numAttentionHeads: Int
        var numKeyValueHeads: Int
        var headDim: Int
        var draftVocabSize: Int
        var rmsNormEpsilon: Float

        var queryWidth: Int { numAttentionHeads * headDim }
        var keyValueWidth: Int { numKeyValueHeads * headDim }
    }

    /// A model of zeros.
    ///
    /// - Parameters:
    ///   - rotary: Prepared for all positions that will occur: the longest sequence and the steps behind it.
    ///   - freezesHead: Whether `lm_head` isn't trained.
    init(_ shape: Shape, rotary: RotaryEmbedding, freezesHead: Bool = false) {
        configuration = shape
        let (h, d) = (shape.hiddenSize, shape.headDim)
        let (heads, kvHeads) = (shape.numAttentionHeads, shape.numKeyValueHeads)
        parameters = ParameterStore([
            .matrix([("fc.weight", h)], columns: 3 * shape.targetHiddenSize),
            .vector("midlayer.input_layernorm.weight", count: h),
            .vector("midlayer.hidden_norm.weight", count: h),
            .matrix(
                [
                    ("midlayer.self_attn.q_proj.weight", heads * d), ("midlayer.self_attn.k_proj.weight", kvHeads * d),
                    ("midlayer.self_attn.v_proj.weight", kvHeads * d),
                ], columns: 2 * h),
            .matrix([("midlayer.self_attn.o_proj.weight", h)], columns: heads * d),
            .vector("midlayer.post_attention_layernorm.weight", count: h),
            .matrix(
                [
                    ("midlayer.mlp.gate_proj.weight", shape.intermediateSize),
                    ("midlayer.mlp.up_proj.weight", shape.intermediateSize),
                ], columns: h),
            .matrix([("midlayer.mlp.down_proj.weight", h)], columns: shape.intermediateSize),
            .vector("norm.weight", count: h),
            .matrix([("lm_head.weight", shape.draftVocabSize)], columns: h, isFrozen: freezesHead),
        ])
        let all = parameters.parameters
        let norm = { (index: Int) in RMSNorm(weight: all[index], epsilon: shape.rmsNormEpsilon) }
        fc = Linear(weight: all[0])
        inputLayerNorm = norm(1)
        hiddenNorm = norm(2)
        qkvProjection = Linear(weight: all[3])
        outputProjection = Linear(weight: all[4])
        postAttentionLayerNorm = norm(5)
        gateUpProjection = Linear(weight: all[6])
        downProjection = Linear(weight: all[7])
        self.norm = norm(8)
        lmHead = Linear(weight: all[9])
        self.rotary = rotary
        attention = Attention(
            numHeads: heads, headDim: d, keyValueHead: (0..<heads).map { $0 / (heads / kvHeads) },
            scale: 1 / Float(d).squareRoot())
    }

    /// The rows of `qkvProjection` that make queries.
    var queryProjection: Linear { rows(of: qkvProjection, 0..<configuration.queryWidth) }

    /// The rows of `qkvProjection` that make keys and values.
    var keyValueProjection: Linear {
        rows(of: qkvProjection, configuration.queryWidth..<qkvProjection.weight.weight.rows)
    }

    private func rows(of linear: Linear, _ range: Range<Int>) -> Linear {
        Linear(weight: linear.weight[rows: range])
    }
}
