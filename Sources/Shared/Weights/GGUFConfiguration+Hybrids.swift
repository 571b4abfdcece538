/// The keys of families whose layers differ in kind or in size.
extension GGUFConfiguration {
    /// Gemma 4's.
    func gemma4() throws -> [(String, JSONText)] {
        let layers = try layerCount()
        let pattern = (value("attention.sliding_window_pattern")?.array ?? []).map { $0.bool == true || $0.int == 1 }
        guard pattern.count == layers else {
            throw JSONError(
                "key 'gemma4.attention.sliding_window_pattern' has \(pattern.count) layers, should have \(layers)",
                at: file.path)
        }
        let heads = try byLayer("attention.head_count_kv")
        let (global, local) = (try int("attention.key_length"), try int("attention.key_length_swa"))
        let sizes = pattern.indices.map { layer in
            let size = JSONText.object([
                ("head_dim", .int(pattern[layer] ? local : global)), ("num_key_value_heads", .int(heads[layer])),
            ])
            return ("\(layer)", size)
        }
        let hasValues = pattern.indices.contains { !pattern[$0] && file.tensors["blk.\($0).attn_v.weight"] != nil }
        let lengths = Set(try byLayer("feed_forward_length"))
        var members: [(String, JSONText)] = [
            ("hidden_activation", .string("gelu_pytorch_tanh")), ("per_layer_config", .object(sizes)),
            ("sliding_window", .int(try int("attention.sliding_window"))),
            ("attention_k_eq_v", .bool(!hasValues)),
            ("num_kv_shared_layers", .int(value("attention.shared_kv_layers")?.int ?? 0)),
            ("use_double_wide_mlp", .bool(lengths.count > 1)),
            ("hidden_size_per_layer_input", .int(value("embedding_length_per_layer_input")?.int ?? 0)),
            (
                "rope_parameters",
                .object([
                    ("full_attention", try proportionalRotation()),
                    (
                        "sliding_attention",
                        .object([
                            ("rope_type", .string("default")),
                            ("rope_theta", .number(value("rope.freq_base_swa")?.double ?? 10_000)),
                        ])
                    ),
                ])
            ),
        ]
        members += windowsByLayer()
        if let table = file.tensors["per_layer_token_embd.weight"] {
            members.append(("vocab_size_per_layer_input", .int(table.shape[0])))
        }
        if let cap = value("final_logit_softcapping")?.double {
            members.append(("final_logit_softcapping", .number(cap)))
        }
        if let count = value("expert_count")?.int, count > 0 {
            members +=
                try experts("moe_intermediate_size") + [
                    ("enable_moe_block", .bool(true)), ("top_k_experts", .int(try int("expert_used_count"))),
                ]
        }
        return members
    }

    /// A rotation of the first pairs of each head: those whose factors are 1 and not endless.
    private func proportionalRotation() throws -> JSONText {
        let theta = JSONText.number(try double("rope.freq_base"))
        guard let tensor = file.tensors[GGUFFile.rotaryFactors] else {
            return .object([("rope_type", .string("default")), ("rope_theta", theta)])
        }
        let factors = try tensor.floats()
        let turned = factors.prefix { $0 == 1 }.count
        guard turned > 0, factors.dropFirst(turned).allSatisfy({ $0 >= 1e29 }) else {
            throw tensor.error(
                "has factors between 1 and 1e29, supported are 1 for pairs that turn and 1e30 after them")
        }
        return .object([
            ("rope_type", .string("proportional")), ("rope_theta", theta),
            ("partial_rotary_factor", .number(Double(turned) / Double(factors.count))),
        ])
    }

    /// Granite 4's hybrids': layers without key/value heads are Mamba-2's.
    func graniteStateSpace() throws -> [(String, JSONText)] {
        let (heads, size) = try stateSpaceHeads()
        let kinds = try byLayer("attention.head_count_kv").map { JSONText.string($0 == 0 ? "mamba" : "attention") }
        let hasRotation = value("rope.scaling.finetuned")?.bool == true
        let shared = file.tensors["blk.0.ffn_gate_shexp.weight"] ?? file.tensors["blk.0.ffn_gate.weight"]
        var members: [(String, JSONText)] = [
            ("layer_types", .array(kinds)), ("position_embedding_type", .string(hasRotation ? "rope" : "nope")),
            ("mamba_n_heads", .int(heads)), ("mamba_d_head", .int(size)),
            ("mamba_n_groups", .int(try int("ssm.group_count"))), ("mamba_d_state", .int(try int("ssm.state_size"))),
            ("mamba_d_conv", .int(try int("ssm.conv_kernel"))), ("mamba_conv_bias", .bool(hasConvolutionBias)),
            ("num_local_experts", .int(value("expert_count")?.int ?? 0)),
        ]
        if let shared { members.append(("shared_intermediate_size", .int(shared.shape[0]))) }
        if let number = value("expert_used_count")?.int { members.append(("num_experts_per_tok", .int(number))) }
        return members
    }

    /// Nemotron-H's: a layer has key/value heads, a feed-forward network, or neither and is Mamba-2's.
    func nemotron() throws -> [(String, JSONText)] {
        let (heads, size) = try stateSpaceHeads()
        let attention = try byLayer("attention.head_count_kv")
        let lengths = try byLayer("feed_forward_length")
        let hasExperts = (value("expert_count")?.int ?? 0) > 0
        let kinds = zip(attention, lengths).map { heads, length in
            heads > 0 ? "attention" : length == 0 ? "mamba" : hasExperts ? "moe" : "mlp"
        }
        var members: [(String, JSONText)] = [
            ("hidden_act", .string("relu2")), ("layers_block_type", .array(kinds.map(JSONText.string))),
            ("mamba_num_heads", .int(heads)), ("mamba_head_dim", .int(size)),
            ("n_groups", .int(try int("ssm.group_count"))), ("ssm_state_size", .int(try int("ssm.state_size"))),
            ("conv_kernel", .int(try int("ssm.conv_kernel"))), ("use_conv_bias", .bool(hasConvolutionBias)),
        ]
        guard hasExperts else { return members }
        members +=
            try experts("moe_intermediate_size") + expertGroups(normalizes: true) + [
                ("moe_shared_expert_intermediate_size", .int(try int("expert_shared_feed_forward_length")))
            ]
        if let size = value("moe_latent_size")?.int, size > 0 { members.append(("moe_latent_size", .int(size))) }
        return members
    }

    private var hasConvolutionBias: Bool { file.tensors.keys.contains { $0.hasSuffix(".ssm_conv1d.bias") } }

    /// Heads of a state, and the size of each.
    func stateSpaceHeads() throws(JSONError) -> (heads: Int, size: Int) {
        let (heads, width) = (try int("ssm.time_step_rank"), try int("ssm.inner_size"))
        guard heads > 0, width.isMultiple(of: heads) else {
            throw JSONError(
                "keys 'ssm.time_step_rank' and 'ssm.inner_size' are \(heads) and \(width), the first should divide the other",
                at: file.path)
        }
        return (heads, width / heads)
    }
}
