/// The keys of families with experts in some layers and dense networks in the others.
extension GGUFConfiguration {
    /// Llama 4's.
    ///
    /// Files don't say how large chunks are, which layers don't rotate, how queries' temperature grows, and whether
    /// queries and keys are normalized. As in llama.cpp that is 8,192 positions, every fourth layer, Llama 4's own
    /// temperature, and all models but those of 128 experts, as Maverick.
    func llama4() throws -> [(String, JSONText)] {
        // A window of 0 stands for layers that all see everything.
        if let window = value("attention.sliding_window"), window.int == 0 {
            throw JSONError(
                "key 'llama4.attention.sliding_window' is 0, supported is a model whose layers have chunks, which has no such key",
                at: file.path)
        }
        return try experts("intermediate_size") + [
            ("intermediate_size_mlp", .int(try int("feed_forward_length"))),
            ("interleave_moe_layer_step", .int(try int("interleave_moe_layer_step"))),
            ("attention_chunk_size", .int(8192)), ("no_rope_layer_interval", .int(4)),
            ("attn_temperature_tuning", .bool(true)), ("floor_scale", .int(8192)), ("attn_scale", .number(0.1)),
            ("use_qk_norm", .bool(try int("expert_count") != 128)),
        ]
    }

    /// DeepSeek-V3's and GLM-4.7-Flash's.
    ///
    /// Where maps to keys and values are split, heads are given apart from what llama.cpp caches, the latent beside the
    /// part of keys that turns; older files have sizes of heads alone, under the same keys. As in llama.cpp, groups that a
    /// file doesn't name are one, and YaRN's `mscale`, which no file has, is its `mscale_all_dim`.
    func latentAttention() throws -> [(String, JSONText)] {
        try refuseOtherLatentModels()
        let heads = try int("attention.head_count")
        let (latent, turned) = (try int("attention.kv_lora_rank"), try int("rope.dimension_count"))
        let isSplit = value("attention.key_length_mla") != nil
        let key = "attention.key_length\(isSplit ? "_mla" : "")"
        let keyLength = try int(key)
        guard turned > 0, keyLength > turned else {
            throw JSONError(
                "key 'deepseek2.\(key)' is \(keyLength), should be above rope.dimension_count, \(turned), which should be above 0",
                at: file.path)
        }
        let (layers, dense) = (try layerCount(), try int("leading_dense_block_count"))
        let kinds = (0..<max(0, min(layers, 1 << 16))).map { JSONText.string($0 < dense ? "dense" : "sparse") }
        return try experts("moe_intermediate_size") + expertGroups(normalizes: false) + [
            ("num_key_value_heads", .int(heads)), ("qk_rope_head_dim", .int(turned)),
            ("qk_nope_head_dim", .int(keyLength - turned)),
            ("v_head_dim", .int(try int("attention.value_length\(isSplit ? "_mla" : "")"))),
            ("kv_lora_rank", .int(latent)),
            ("q_lora_rank", value("attention.q_lora_rank")?.int.map(JSONText.int) ?? .null),
            ("first_k_dense_replace", .int(dense)), ("mlp_layer_types", .array(kinds)),
            ("n_shared_experts", .int(try int("expert_shared_count"))),
        ]
    }

    /// Models that share the architecture's name: DeepSeek-V2, whose experts are weighted by a softmax, and Mistral Large 3,
    /// whose queries grow with their position.
    private func refuseOtherLatentModels() throws(JSONError) {
        // GLM-4.7-Flash's converter leaves it out.
        let isGLM = file.metadata["tokenizer.ggml.pre"]?.string == "glm4"
        let sigmoid = 2
        let gating = value("expert_gating_func")?.int ?? (isGLM ? sigmoid : nil)
        guard gating == sigmoid else {
            let problem = gating.map { "is \($0)" } ?? "is missing, which stands for a softmax"
            throw JSONError(
                "key 'deepseek2.expert_gating_func' \(problem), supported is \(sigmoid), a logistic function",
                at: file.path)
        }
        guard value("attention.temperature_scale").map({ $0.double == 0 }) ?? true else {
            throw JSONError("key 'deepseek2.attention.temperature_scale' is set, which isn't supported", at: file.path)
        }
    }
}
