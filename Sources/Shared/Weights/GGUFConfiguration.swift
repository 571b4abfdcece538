/// The keys of a `config.json`, from a GGUF file's metadata.
struct GGUFConfiguration {
    /// A tensor of factors that the rotation's frequencies are divided by: Llama 3.1's scaling, computed.
    static let rotaryFactors = "rope_freqs.weight"

    private let file: GGUFFile
    private let architecture: String

    init(_ file: GGUFFile, architecture: String) {
        self.file = file
        self.architecture = architecture
    }

    func json(_ family: (architecture: String, modelType: String)) throws -> JSONFile {
        for key in ["expert_count", "rope.scaling.attn_factor"] where value(key).map({ $0.double != 0 }) ?? false {
            throw JSONError("key '\(architecture).\(key)' is set, which isn't supported", at: file.path)
        }
        let (hidden, heads) = (try int("embedding_length"), try int("attention.head_count"))
        guard heads > 0 else { throw JSONError("key '\(architecture).attention.head_count' is 0", at: file.path) }
        let headDim = value("attention.key_length")?.int ?? hidden / heads
        guard let embedding = file.tensors["token_embd.weight"], let vocabSize = embedding.shape.first else {
            throw WeightsError(file.path, tensor: "token_embd.weight", "is missing")
        }
        var members: [(String, JSONText)] = [
            ("architectures", .array([.string(family.architecture)])),
            ("model_type", .string(family.modelType)),
            ("hidden_size", .int(hidden)),
            ("intermediate_size", .int(try int("feed_forward_length"))),
            ("num_hidden_layers", .int(try int("block_count"))),
            ("num_attention_heads", .int(heads)),
            ("num_key_value_heads", .int(value("attention.head_count_kv")?.int ?? heads)),
            ("head_dim", .int(headDim)),
            ("vocab_size", .int(vocabSize)),
            ("max_position_embeddings", .int(try int("context_length"))),
            ("rms_norm_eps", .number(try double("attention.layer_norm_rms_epsilon"))),
            ("tie_word_embeddings", .bool(file.tensors["output.weight"] == nil)),
            ("bos_token_id", token("bos")), ("eos_token_id", .array(file.endTokenIDs.map(JSONText.int))),
            ("pad_token_id", token("padding")),
        ]
        if let theta = value("rope.freq_base")?.double { members.append(("rope_theta", .number(theta))) }
        if let turned = value("rope.dimension_count")?.int, turned != headDim {
            throw JSONError(
                "key '\(architecture).rope.dimension_count' is \(turned), supported is a head's size, \(headDim)",
                at: file.path)
        }
        if let scaling = try scaling() { members.append(("rope_scaling", scaling)) }
        members += family.modelType == "gemma3_text" ? try gemma(hidden / heads, headDim) : llama(family.modelType)
        return try JSONFile(contents: Array(JSONText.object(members).compact.utf8), path: file.path)
    }

    private func llama(_ modelType: String) -> [(String, JSONText)] {
        let hasBias = file.tensors["blk.0.attn_q.bias"] != nil && modelType != "qwen2"
        return [("rope_interleave", .bool(modelType == "llama")), ("attention_bias", .bool(hasBias))]
    }

    /// llama.cpp knows by the number of layers that the 27B model scales queries by another size than a head's.
    private func gemma(_ hiddenPerHead: Int, _ headDim: Int) throws -> [(String, JSONText)] {
        var members: [(String, JSONText)] = [
            ("norms_include_offset", .bool(true)),
            ("hidden_activation", .string("gelu_pytorch_tanh")),
            ("sliding_window", .int(try int("attention.sliding_window"))),
            ("query_pre_attn_scalar", .int(try int("block_count") == 62 ? hiddenPerHead : headDim)),
        ]
        for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
            if let cap = value(key)?.double { members.append((key, .number(cap))) }
        }
        return members
    }

    /// `rope_scaling`, of a kind that metadata names, or of factors in a tensor.
    private func scaling() throws -> JSONText? {
        if let tensor = file.tensors[Self.rotaryFactors] {
            let factors = JSONText.array(try tensor.floats().map { .number(Double($0)) })
            return .object([
                ("rope_type", .string("longrope")), ("short_factor", factors), ("long_factor", factors),
                ("attention_factor", .int(1)),
            ])
        }
        guard let type = value("rope.scaling.type")?.string, type != "none" else { return nil }
        var members: [(String, JSONText)] = [
            ("rope_type", .string(type)), ("factor", .number(try double("rope.scaling.factor"))),
        ]
        if let original = value("rope.scaling.original_context_length")?.int {
            members.append(("original_max_position_embeddings", .int(original)))
        }
        return .object(members)
    }

    private func value(_ key: String) -> GGUFValue? { file.metadata["\(architecture).\(key)"] }

    private func int(_ key: String) throws(JSONError) -> Int {
        guard let number = value(key)?.int else { throw missing(key, "an integer") }
        return number
    }

    private func double(_ key: String) throws(JSONError) -> Double {
        guard let number = value(key)?.double else { throw missing(key, "a number") }
        return number
    }

    private func missing(_ key: String, _ kind: String) -> JSONError {
        let problem = value(key) == nil ? "is missing" : "should be \(kind)"
        return JSONError("key '\(architecture).\(key)' \(problem)", at: file.path)
    }

    private func token(_ name: String) -> JSONText { file.tokenID(name).map(JSONText.int) ?? .null }
}
