/// The keys of a `config.json`, from a GGUF file's metadata.
struct GGUFConfiguration {
    /// Tensors of LongRoPE's factors.
    private static let longFactors = (short: "rope_factors_short.weight", long: "rope_factors_long.weight")
    /// All tensors that say something of the rotation alone.
    static let factors = [GGUFFile.rotaryFactors, longFactors.short, longFactors.long]

    let file: GGUFFile
    private let architecture: String

    init(_ file: GGUFFile, architecture: String) {
        self.file = file
        self.architecture = architecture
    }

    func json(_ family: GGUFModel.Family) throws -> JSONFile {
        let extra = Self.extras[family.modelType]
        let hasExperts = value("expert_count").map { $0.double != 0 } ?? false
        if hasExperts, extra?.hasExperts != true {
            throw JSONError("key '\(architecture).expert_count' is set, which isn't supported", at: file.path)
        }
        let (hidden, heads) = (try int("embedding_length"), try int("attention.head_count"))
        guard heads > 0 else { throw JSONError("key '\(architecture).attention.head_count' is 0", at: file.path) }
        // Where layers differ, sizes are those of layers with a window, and others are given by layer.
        let ofWindows = extra?.differsByLayer == true ? "_swa" : ""
        let headDimKey = extra?.hasLatents == true ? "rope.dimension_count" : "attention.key_length\(ofWindows)"
        let headDim = value(headDimKey)?.int ?? hidden / heads
        guard let embedding = file.tensors["token_embd.weight"], let vocabSize = embedding.shape.first else {
            throw WeightsError(file.path, tensor: "token_embd.weight", "is missing")
        }
        let hasMeans = value("attention.layer_norm_epsilon") != nil
        let epsilon = JSONText.number(try double("attention.layer_norm_\(hasMeans ? "" : "rms_")epsilon"))
        var members: [(String, JSONText)] = [
            ("architectures", .array([.string(family.architecture)])), ("model_type", .string(family.modelType)),
            ("is_gguf", .bool(true)), ("hidden_size", .int(hidden)),
            ("intermediate_size", .int(try feedForwardLength())), ("num_hidden_layers", .int(try layerCount())),
            ("num_attention_heads", .int(heads)),
            ("num_key_value_heads", .int(try keyValueHeads(differsByLayer: !ofWindows.isEmpty) ?? heads)),
            ("head_dim", .int(headDim)), ("vocab_size", .int(vocabSize)),
            ("max_position_embeddings", .int(try int("context_length"))),
            ("rms_norm_eps", epsilon), ("norm_eps", epsilon), ("layer_norm_eps", epsilon),
            ("layer_norm_epsilon", epsilon),
            ("tie_word_embeddings", .bool(file.tensors["output.weight"] == nil)),
            ("rope_interleave", .bool(family.hasInterleavedRotation)),
            ("norms_include_offset", .bool(family.includesNormOffset)),
            ("has_fused_gate_up", .bool(family.hasFusedGateUp)),
            ("bos_token_id", token("bos")), ("eos_token_id", .array(file.endTokenIDs.map(JSONText.int))),
            ("pad_token_id", token("padding")),
        ]
        if let theta = value("rope.freq_base")?.double { members.append(("rope_theta", .number(theta))) }
        if let turned = value("rope.dimension_count\(ofWindows)")?.int, turned != headDim {
            guard extra?.turnsPartOfHead == true, headDim > 0 else {
                throw JSONError(
                    "key '\(architecture).rope.dimension_count' is \(turned), supported is a head's size, \(headDim)",
                    at: file.path)
            }
            members.append(("partial_rotary_factor", .number(Double(turned) / Double(headDim))))
        }
        if extra?.differsByLayer != true, let scaling = try scaling(extra) { members.append(("rope_scaling", scaling)) }
        if let extra { members += try extra.keys(self) }
        if family.modelType != "gpt_oss" {
            let hasBias = file.tensors["blk.0.attn_q.bias"] != nil && family.modelType != "qwen2"
            members.append(("attention_bias", .bool(hasBias)))
        }
        return try JSONFile(contents: Array(JSONText.object(members).compact.utf8), path: file.path)
    }

    /// The layers, without those that predict several tokens at once.
    func layerCount() throws(JSONError) -> Int {
        let (count, others) = (try int("block_count"), value("nextn_predict_layers")?.int ?? 0)
        guard (0...max(0, count)).contains(others) else {
            throw JSONError(
                "key '\(architecture).nextn_predict_layers' is \(others), should be 0 to block_count, \(count)",
                at: file.path)
        }
        return count - others
    }

    /// Those, which stand after the others.
    var predictingBlocks: Range<Int> {
        get throws(JSONError) {
            let first = try layerCount()
            return first..<(try int("block_count"))
        }
    }

    /// Of layers that have such a network; the least where they differ.
    private func feedForwardLength() throws(JSONError) -> Int {
        if let lengths = value("feed_forward_length")?.array {
            return lengths.compactMap(\.int).filter { $0 > 0 }.min() ?? 0
        }
        if value("feed_forward_length") == nil, let length = value("expert_feed_forward_length")?.int { return length }
        return try int("feed_forward_length")
    }

    /// One number for all layers, or one for each, of which those without attention have 0.
    private func keyValueHeads(differsByLayer: Bool) throws(JSONError) -> Int? {
        guard let counts = value("attention.head_count_kv")?.array else { return value("attention.head_count_kv")?.int }
        let kinds = Set(counts.compactMap(\.int)).subtracting([0])
        guard kinds.count == 1 || differsByLayer, let count = kinds.first else {
            throw JSONError(
                "key '\(architecture).attention.head_count_kv' is \(kinds.sorted()), supported is one number beside 0",
                at: file.path)
        }
        return count
    }

    /// `rope_scaling`, of a kind that metadata names, or of factors in a tensor.
    private func scaling(_ extra: Extra?) throws -> JSONText? {
        if let tensor = file.tensors[GGUFFile.rotaryFactors] {
            let factors = try numbers(of: tensor)
            return .object([
                ("rope_type", .string("longrope")), ("short_factor", factors), ("long_factor", factors),
                ("attention_factor", .int(1)),
            ])
        }
        if let short = file.tensors[Self.longFactors.short], let long = file.tensors[Self.longFactors.long] {
            return .object([
                ("rope_type", .string("longrope")), ("short_factor", try numbers(of: short)),
                ("long_factor", try numbers(of: long)),
                ("attention_factor", .number(value("rope.scaling.attn_factor")?.double ?? 1)),
            ])
        }
        if let factor = value("rope.scaling.attn_factor")?.double, factor != 0 {
            throw JSONError(
                "key '\(architecture).rope.scaling.attn_factor' is set, which isn't supported", at: file.path)
        }
        guard let type = value("rope.scaling.type")?.string, type != "none" else { return nil }
        var members: [(String, JSONText)] = [
            ("rope_type", .string(type)), ("factor", .number(try double("rope.scaling.factor"))),
        ]
        if let original = value("rope.scaling.original_context_length")?.int {
            members.append(("original_max_position_embeddings", .int(original)))
        }
        for (key, name) in [
            ("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow"),
        ] {
            if let number = value("rope.scaling.\(key)")?.double { members.append((name, .number(number))) }
        }
        if let number = value("rope.scaling.yarn_log_multiplier")?.double {
            // Of models with latents the converter multiplies it by 0.1.
            let multiplier = JSONText.number(extra?.hasLatents == true ? number / 0.1 : number)
            members += [("mscale", multiplier), ("mscale_all_dim", multiplier)]
        }
        if let beta = value("attention.temperature_scale")?.double {
            members.append(("llama_4_scaling_beta", .number(beta)))
        }
        return .object(members)
    }

    private func numbers(of tensor: StoredTensor) throws -> JSONText {
        .array(try tensor.floats().map { .number(Double($0)) })
    }

    /// A number of each layer: an array, or one number for all.
    func byLayer(_ key: String) throws(JSONError) -> [Int] {
        let layers = try layerCount()
        guard let numbers = value(key)?.array?.compactMap(\.int) else {
            return [Int](repeating: try int(key), count: max(0, min(layers, 1 << 16)))
        }
        guard numbers.count >= layers, layers > 0 else {
            throw JSONError(
                "key '\(architecture).\(key)' has \(numbers.count) numbers, should have one for each of \(layers) layers",
                at: file.path)
        }
        return Array(numbers.prefix(layers))
    }

    func value(_ key: String) -> GGUFValue? { file.metadata["\(architecture).\(key)"] }

    func int(_ key: String) throws(JSONError) -> Int {
        guard let number = value(key)?.int else { throw missing(key, "an integer") }
        return number
    }

    func double(_ key: String) throws(JSONError) -> Double {
        guard let number = value(key)?.double else { throw missing(key, "a number") }
        return number
    }

    private func missing(_ key: String, _ kind: String) -> JSONError {
        let problem = value(key) == nil ? "is missing" : "should be \(kind)"
        return JSONError("key '\(architecture).\(key)' \(problem)", at: file.path)
    }

    private func token(_ name: String) -> JSONText { file.tokenID(name).map(JSONText.int) ?? .null }
}
