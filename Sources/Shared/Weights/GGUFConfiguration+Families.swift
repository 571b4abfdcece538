/// The keys that some families have besides those of all.
extension GGUFConfiguration {
    struct Extra: Sendable {
        /// Whether its layers may have experts, and a part of each head may turn.
        var hasExperts = false
        var turnsPartOfHead = false
        /// Whether layers with a window have other heads and rotations than the others.
        var differsByLayer = false
        /// Whether attention has latents: a head's size is given by its parts, of which `rope.dimension_count` turn.
        var hasLatents = false
        let keys: @Sendable (GGUFConfiguration) throws -> [(String, JSONText)]
    }

    /// By `model_type`.
    static let extras: [String: Extra] = [
        "cohere2": Extra { keys in
            [
                ("logit_scale", .number(try keys.double("logit_scale"))),
                ("sliding_window", .int(try keys.int("attention.sliding_window"))),
            ]
        },
        "deepseek_v3": Extra(hasExperts: true, hasLatents: true) { keys in try keys.latentAttention() },
        "exaone4": Extra { keys in
            guard let window = keys.value("attention.sliding_window")?.int, window > 0 else {
                return [("sliding_window", .null)]
            }
            return [("sliding_window", .int(window))] + keys.windowsByLayer()
        },
        "gemma2": Extra { keys in
            // llama.cpp knows by the number of layers that the 27B model scales queries by another size than a head's.
            try keys.gemma(layersOfLargest: 46)
        },
        "gemma3_text": Extra { keys in try keys.gemma(layersOfLargest: 62) },
        "gemma4_text": Extra(hasExperts: true, differsByLayer: true) { keys in try keys.gemma4() },
        "glm4": Extra(turnsPartOfHead: true) { keys in
            // The converter orders heads otherwise for positions of several axes, those of images.
            guard keys.value("rope.dimension_sections") == nil else {
                throw JSONError(
                    "key 'glm4.rope.dimension_sections' is set, which isn't supported", at: keys.file.path)
            }
            return []
        },
        "glm4_moe_lite": Extra(hasExperts: true, hasLatents: true) { keys in try keys.latentAttention() },
        "gpt_oss": Extra(hasExperts: true) { keys in
            [("sliding_window", .int(try keys.int("attention.sliding_window")))]
                + (try keys.experts("intermediate_size"))
        },
        "granite": Extra { keys in try keys.multipliers() },
        "granitemoehybrid": Extra(hasExperts: true) { keys in
            try keys.multipliers() + keys.graniteStateSpace()
        },
        "lfm2": Extra { keys in try keys.convolutions() + [("block_auto_adjust_ff_dim", .bool(false))] },
        "lfm2_moe": Extra(hasExperts: true) { keys in
            let dense = try keys.int("leading_dense_block_count")
            return try keys.convolutions() + keys.experts("moe_intermediate_size") + [("num_dense_layers", .int(dense))]
        },
        "llama4_text": Extra(hasExperts: true) { keys in try keys.llama4() },
        "nemotron_h": Extra(hasExperts: true, turnsPartOfHead: true) { keys in try keys.nemotron() },
        "olmo2": Extra { keys in
            // OLMo 3 has this name too, and other rotations.
            guard keys.value("attention.sliding_window").map({ $0.int == 0 }) ?? true else {
                throw JSONError(
                    "key 'olmo2.attention.sliding_window' is set, which isn't supported", at: keys.file.path)
            }
            return []
        },
        "phi3": Extra(turnsPartOfHead: true) { keys in
            let window = keys.value("attention.sliding_window")?.int ?? 0
            let original = keys.value("rope.scaling.original_context_length")?.int
            return [("sliding_window", window > 0 ? .int(window) : .null)]
                + (original.map { [("original_max_position_embeddings", JSONText.int($0))] } ?? [])
        },
        "qwen3_5_moe_text": Extra(hasExperts: true, turnsPartOfHead: true) { keys in
            let shared = try keys.int("expert_shared_feed_forward_length")
            return try keys.gatedDelta() + keys.experts("moe_intermediate_size") + [
                ("shared_expert_intermediate_size", .int(shared))
            ]
        },
        "qwen3_5_text": Extra(turnsPartOfHead: true) { keys in try keys.gatedDelta() },
        "qwen3_moe": Extra(hasExperts: true) { keys in
            try keys.experts("moe_intermediate_size") + [("norm_topk_prob", .bool(true))]
        },
    ]

    /// Granite's.
    private func multipliers() throws -> [(String, JSONText)] {
        [
            ("attention_multiplier", .number(try double("attention.scale"))),
            ("embedding_multiplier", .number(try double("embedding_scale"))),
            ("residual_multiplier", .number(try double("residual_scale"))),
            ("logits_scaling", .number(try double("logit_scale"))),
        ]
    }

    private func gemma(layersOfLargest: Int) throws -> [(String, JSONText)] {
        let (hidden, heads) = (try int("embedding_length"), try int("attention.head_count"))
        let headDim = value("attention.key_length")?.int ?? hidden / max(1, heads)
        let isLargest = try int("block_count") == layersOfLargest
        var members: [(String, JSONText)] = [
            ("hidden_activation", .string("gelu_pytorch_tanh")),
            ("sliding_window", .int(try int("attention.sliding_window"))),
            ("query_pre_attn_scalar", .int(isLargest ? hidden / max(1, heads) : headDim)),
        ]
        for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
            if let cap = value(key)?.double { members.append((key, .number(cap))) }
        }
        return members
    }

    /// - Parameter size: The family's key for an expert's intermediate features.
    func experts(_ size: String) throws -> [(String, JSONText)] {
        [
            ("num_local_experts", .int(try int("expert_count"))),
            ("num_experts_per_tok", .int(try int("expert_used_count"))),
            (size, .int(try int("expert_feed_forward_length"))),
        ]
    }

    /// What chooses among groups of experts, by DeepSeek-V3's keys.
    ///
    /// - Parameter normalizes: Whether weights of chosen experts are made to sum to one, where the file has no word of it.
    func expertGroups(normalizes: Bool) throws(JSONError) -> [(String, JSONText)] {
        [
            ("n_routed_experts", .int(try int("expert_count"))),
            ("n_group", .int(max(1, value("expert_group_count")?.int ?? 1))),
            ("topk_group", .int(max(1, value("expert_group_used_count")?.int ?? 1))),
            ("norm_topk_prob", .bool(value("expert_weights_norm")?.bool ?? normalizes)),
            ("routed_scaling_factor", .number(value("expert_weights_scale")?.double ?? 1)),
        ]
    }

    /// Which layers have a window, where the file says it.
    func windowsByLayer() -> [(String, JSONText)] {
        guard let pattern = value("attention.sliding_window_pattern")?.array else { return [] }
        let kinds = pattern.map { isLocal in
            JSONText.string(isLocal.bool == true || isLocal.int == 1 ? "sliding_attention" : "full_attention")
        }
        return [("layer_types", .array(kinds))]
    }

    /// Layers that have no key/value heads are convolutions.
    private func convolutions() throws -> [(String, JSONText)] {
        let counts = value("attention.head_count_kv")?.array ?? []
        let kinds = counts.map { JSONText.string($0.int == 0 ? "conv" : "full_attention") }
        return [("conv_L_cache", .int(try int("shortconv.l_cache")))]
            + (kinds.isEmpty ? [] : [("layer_types", .array(kinds))])
    }

    private func gatedDelta() throws -> [(String, JSONText)] {
        let (heads, size) = try stateSpaceHeads()
        return [
            ("linear_num_key_heads", .int(try int("ssm.group_count"))), ("linear_num_value_heads", .int(heads)),
            ("linear_key_head_dim", .int(try int("ssm.state_size"))), ("linear_value_head_dim", .int(size)),
            ("linear_conv_kernel_dim", .int(try int("ssm.conv_kernel"))),
            ("full_attention_interval", .int(value("full_attention_interval")?.int ?? 4)),
        ]
    }
}
