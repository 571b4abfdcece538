/// A GGUF file as the Hugging Face model that it was converted from: `config.json`, and tensors by their names there.
public struct GGUFModel: Sendable {
    /// The keys of a `config.json`, and more, for what llama.cpp's converter changes: `is_gguf`, true; `rope_interleave`,
    /// if pairs of the rotation are neighbours; `norms_include_offset`, if norms are stored with the 1 that is added to
    /// them; and `has_fused_gate_up`, if gate and up are one tensor.
    public let configuration: JSONFile
    /// By the names that Llama has for them, or would have.
    let tensors: [String: StoredTensor]
    /// The file, or all that it is split into.
    let files: [String]

    /// What a file's `general.architecture` stands for.
    struct Family {
        let architecture: String
        let modelType: String
        /// Whether the converter makes neighbours of the pairs that a rotation turns.
        var hasInterleavedRotation = false
        /// Whether norms are stored with the 1 that the model adds.
        var includesNormOffset = false
        /// Whether `post_attention_norm` is the norm of what feed-forward networks see, and not that of what attention
        /// gives.
        var normsAttentionLast = true
        /// Whether `ffn_up` has the gate too.
        var hasFusedGateUp = false
        /// What it calls tensors of layers otherwise than other families.
        var names: [String: String] = [:]

        init(
            _ architecture: String, _ modelType: String, isInterleaved: Bool = false, includesNormOffset: Bool = false,
            normsAttentionLast: Bool = true, hasFusedGateUp: Bool = false, names: [String: String] = [:]
        ) {
            (self.architecture, self.modelType) = (architecture, modelType)
            (hasInterleavedRotation, self.includesNormOffset) = (isInterleaved, includesNormOffset)
            (self.normsAttentionLast, self.hasFusedGateUp) = (normsAttentionLast, hasFusedGateUp)
            self.names = names
        }
    }

    private static let families: [String: Family] = [
        "cohere2": Family("Cohere2ForCausalLM", "cohere2"),
        "deepseek2": Family("DeepseekV3ForCausalLM", "deepseek_v3", isInterleaved: true),
        "ernie4_5": Family("Ernie4_5ForCausalLM", "ernie4_5"),
        "exaone4": Family("Exaone4ForCausalLM", "exaone4"),
        "gemma2": Family("Gemma2ForCausalLM", "gemma2", includesNormOffset: true),
        "gemma3": Family("Gemma3ForCausalLM", "gemma3_text", includesNormOffset: true),
        "gemma4": Family("Gemma4ForCausalLM", "gemma4_text", names: gemma4),
        "glm4": Family("Glm4ForCausalLM", "glm4", hasFusedGateUp: true),
        "gpt-oss": Family("GptOssForCausalLM", "gpt_oss", normsAttentionLast: false),
        "granite": Family("GraniteForCausalLM", "granite", isInterleaved: true),
        "granitehybrid": Family(
            "GraniteMoeHybridForCausalLM", "granitemoehybrid", isInterleaved: true, names: stateSpace),
        "hunyuan-dense": Family("HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense"),
        "lfm2": Family("Lfm2ForCausalLM", "lfm2"),
        "lfm2moe": Family("Lfm2MoeForCausalLM", "lfm2_moe"),
        "llama": Family("LlamaForCausalLM", "llama", isInterleaved: true),
        "llama4": Family("Llama4ForCausalLM", "llama4_text", isInterleaved: true),
        "mistral3": Family("Ministral3ForCausalLM", "ministral3", isInterleaved: true),
        "nemotron_h": Family("NemotronHForCausalLM", "nemotron_h", names: stateSpace),
        "nemotron_h_moe": Family("NemotronHForCausalLM", "nemotron_h", names: stateSpace),
        "olmo2": Family("Olmo2ForCausalLM", "olmo2"),
        "phi3": Family("Phi3ForCausalLM", "phi3", hasFusedGateUp: true),
        "qwen2": Family("Qwen2ForCausalLM", "qwen2"),
        "qwen3": Family("Qwen3ForCausalLM", "qwen3"),
        "qwen35": Family("Qwen3_5ForCausalLM", "qwen3_5_text", includesNormOffset: true, normsAttentionLast: false),
        "qwen35moe": Family(
            "Qwen3_5MoeForCausalLM", "qwen3_5_moe_text", includesNormOffset: true, normsAttentionLast: false),
        "qwen3moe": Family("Qwen3MoeForCausalLM", "qwen3_moe"),
        "seed_oss": Family("SeedOssForCausalLM", "seed_oss", normsAttentionLast: false),
        "smollm3": Family("SmolLM3ForCausalLM", "smollm3", isInterleaved: true),
    ]

    /// What `deepseek2` stands for where the tokenizer is GLM's.
    private static let glm4MoELite = Family("Glm4MoeLiteForCausalLM", "glm4_moe_lite", isInterleaved: true)

    public init(_ path: String) throws {
        let file = try GGUFFile(path)
        guard let name = file.metadata["general.architecture"]?.string else {
            throw JSONError("key 'general.architecture' is missing", at: path)
        }
        guard var family = Self.families[name] else {
            let known = Self.families.keys.sorted().joined(separator: ", ")
            throw JSONError("key 'general.architecture' is '\(name)', supported are \(known)", at: path)
        }
        if name == "deepseek2", file.metadata["tokenizer.ggml.pre"]?.string == "glm4" { family = Self.glm4MoELite }
        files = file.files
        let keys = GGUFConfiguration(file, architecture: name)
        configuration = try keys.json(family)
        let predicting = try keys.predictingBlocks
        var tensors: [String: StoredTensor] = [:]
        for (name, tensor) in file.tensors where !GGUFConfiguration.factors.contains(name) {
            tensors[Self.rename(name, family, predicting)] =
                Self.columns.contains { name.hasSuffix($0) } ? tensor.flattened : tensor
        }
        self.tensors = tensors
    }

    /// The GGUF file that a path names, itself or as the directory of this one; nil if it is none of it.
    ///
    /// Of a model that is split it is the first file.
    ///
    /// - Throws: `WeightsError` if a directory has several.
    public static func file(at path: String) throws -> String? {
        if path.hasSuffix(".gguf") { return path }
        // What sees images beside a model of text is a file of its own.
        let files = try listDirectory(path).filter { $0.hasSuffix(".gguf") && !$0.hasPrefix("mmproj") }.sorted()
        if let first = files.first, let name = GGUFSplitName(first), name.number == 1,
            files.allSatisfy({ GGUFSplitName($0)?.isBeside(name) ?? false })
        {
            return "\(path)/\(first)"
        }
        guard files.count <= 1 else {
            throw WeightsError(path, "has several GGUF files: \(files.joined(separator: ", ")); name one of them")
        }
        return files.first.map { "\(path)/\($0)" }
    }

    /// Llama's name of a tensor; an unknown one stays as it is, and will be refused by it.
    ///
    /// - Parameter predicting: The blocks that predict several tokens at once.
    private static func rename(_ name: String, _ family: Family, _ predicting: Range<Int>) -> String {
        if let known = whole[name] { return known }
        let parts = name.split(separator: ".", maxSplits: 2).map(String.init)
        guard parts.count == 3, parts[0] == "blk" else { return name }
        if let block = Int(parts[1]), predicting.contains(block) { return "mtp.\(name)" }
        let prefix = "model.layers.\(parts[1])"
        if let known = family.names[parts[2]] ?? wholeInLayer[parts[2]] { return "\(prefix).\(known)" }
        guard let dot = parts[2].lastIndex(of: ".") else { return name }
        let (part, kind) = (String(parts[2][..<dot]), parts[2][dot...])
        if part == "post_attention_norm" {
            return "\(prefix).\(family.normsAttentionLast ? "mixer_output_norm" : "feed_forward_input_norm")\(kind)"
        }
        if part == "ffn_up", family.hasFusedGateUp { return "\(prefix).mlp.gate_up_proj\(kind)" }
        return layer[part].map { "\(prefix).\($0)\(kind)" } ?? name
    }
}
