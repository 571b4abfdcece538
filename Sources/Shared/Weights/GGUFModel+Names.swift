/// What llama.cpp's tensors are called here: as in Llama's checkpoints, where it has them.
extension GGUFModel {
    static let whole = [
        "per_layer_model_proj.weight": "model.per_layer_model_projection.weight",
        "per_layer_proj_norm.weight": "model.per_layer_projection_norm.weight",
        "per_layer_token_embd.weight": "model.embed_tokens_per_layer.weight",
        "token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
        "token_embd_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight",
    ]

    /// Tensors whose names end otherwise than Llama's would.
    static let wholeInLayer = [
        "attn_sinks.weight": "self_attn.sinks", "exp_probs_b.bias": "mlp.expert_bias", "ssm_a": "linear_attn.A_log",
        "ssm_dt.bias": "linear_attn.dt_bias",
    ]

    static let layer = [
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm", "attn_qkv": "self_attn.qkv_proj", "attn_q_a": "self_attn.q_a_proj",
        "attn_q_a_norm": "self_attn.q_a_layernorm", "attn_q_b": "self_attn.q_b_proj",
        "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa", "attn_kv_a_norm": "self_attn.kv_a_layernorm",
        "attn_kv_b": "self_attn.kv_b_proj", "attn_k_b": "self_attn.k_b_proj", "attn_v_b": "self_attn.v_b_proj",
        "ffn_norm": "feed_forward_input_norm",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
        "post_ffw_norm": "feed_forward_output_norm", "ffn_gate_inp": "mlp.router",
        "ffn_gate_exps": "mlp.experts.gate_proj", "ffn_up_exps": "mlp.experts.up_proj",
        "ffn_gate_up_exps": "mlp.experts.gate_up_proj", "ffn_down_exps": "mlp.experts.down_proj",
        "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
        "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj",
        "ffn_gate_inp_shexp": "mlp.shared_expert_gate", "shortconv.in_proj": "short_conv.in_proj",
        "shortconv.conv": "short_conv.conv1d", "shortconv.out_proj": "short_conv.out_proj",
        "attn_gate": "linear_attn.in_proj_z", "ssm_beta": "linear_attn.in_proj_b", "ssm_alpha": "linear_attn.in_proj_a",
        "ssm_conv1d": "linear_attn.conv1d", "ssm_norm": "linear_attn.norm", "ssm_out": "linear_attn.out_proj",
    ]

    /// Gemma 4's experts, which stand beside a dense network, and its embeddings of layers.
    static let gemma4 = [
        "ffn_gate_inp.weight": "sparse.router.proj.weight", "ffn_gate_inp.scale": "sparse.router.scale",
        "ffn_gate_up_exps.weight": "sparse.experts.gate_up_proj", "ffn_down_exps.weight": "sparse.experts.down_proj",
        "ffn_down_exps.scale": "sparse.router.per_expert_scale",
        "post_ffw_norm_1.weight": "post_feedforward_layernorm_1.weight",
        "pre_ffw_norm_2.weight": "pre_feedforward_layernorm_2.weight",
        "post_ffw_norm_2.weight": "post_feedforward_layernorm_2.weight", "layer_output_scale.weight": "layer_scalar",
        "inp_gate.weight": "per_layer_input_gate.weight", "proj.weight": "per_layer_projection.weight",
        "post_norm.weight": "post_per_layer_input_norm.weight",
    ]

    /// Mamba-2's.
    static let stateSpace = [
        "ssm_in.weight": "mamba.in_proj.weight", "ssm_conv1d.weight": "mamba.conv1d.weight",
        "ssm_conv1d.bias": "mamba.conv1d.bias", "ssm_dt.bias": "mamba.dt_bias", "ssm_a": "mamba.A_log",
        "ssm_d": "mamba.D", "ssm_norm.weight": "mamba.norm.weight", "ssm_out.weight": "mamba.out_proj.weight",
    ]

    /// Vectors that are stored as matrices of one column, or of a row for each group.
    static let columns = [".ssm_a", ".ssm_d", ".ssm_norm.weight"]
}
