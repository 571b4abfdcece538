/// A GGUF file as the Hugging Face model that it was converted from: `config.json`, and tensors by their names there.
public struct GGUFModel: Sendable {
    /// The keys of a `config.json`, and two more, for what llama.cpp's converter changes in weights:
    /// `rope_interleave`, if pairs of the rotation are neighbours, and `norms_include_offset`, if Gemma's norms are
    /// stored with the 1 that is added to them.
    public let configuration: JSONFile
    let tensors: [String: StoredTensor]

    private static let families: [String: (architecture: String, modelType: String)] = [
        "llama": ("LlamaForCausalLM", "llama"),
        "qwen2": ("Qwen2ForCausalLM", "qwen2"),
        "qwen3": ("Qwen3ForCausalLM", "qwen3"),
        "gemma3": ("Gemma3ForCausalLM", "gemma3_text"),
    ]

    public init(_ path: String) throws {
        let file = try GGUFFile(path)
        guard let name = file.metadata["general.architecture"]?.string else {
            throw JSONError("key 'general.architecture' is missing", at: path)
        }
        guard let family = Self.families[name] else {
            let known = Self.families.keys.sorted().joined(separator: ", ")
            throw JSONError("key 'general.architecture' is '\(name)', supported are \(known)", at: path)
        }
        let keys = GGUFConfiguration(file, architecture: name)
        configuration = try keys.json(family)
        var tensors: [String: StoredTensor] = [:]
        for (name, tensor) in file.tensors where name != GGUFConfiguration.rotaryFactors {
            tensors[Self.rename(name, isGemma: family.modelType == "gemma3_text")] = tensor
        }
        self.tensors = tensors
    }

    /// The GGUF file that a path names, itself or as the directory of this one; nil if it is none of it.
    /// - Throws: `WeightsError` if a directory has several.
    public static func file(at path: String) throws -> String? {
        if path.hasSuffix(".gguf") { return path }
        let files = try listDirectory(path).filter { $0.hasSuffix(".gguf") }
        guard files.count <= 1 else {
            throw WeightsError(path, "has several GGUF files: \(files.joined(separator: ", ")); name one of them")
        }
        return files.first.map { "\(path)/\($0)" }
    }

    /// Hugging Face's name of a tensor; an unknown one stays as it is, and will be refused by it.
    private static func rename(_ name: String, isGemma: Bool) -> String {
        if let known = whole[name] { return known }
        let parts = name.split(separator: ".", maxSplits: 3).map(String.init)
        guard parts.count == 4, parts[0] == "blk" else { return name }
        let known = parts[2] == "ffn_norm" && isGemma ? "pre_feedforward_layernorm" : layer[parts[2]]
        return known.map { "model.layers.\(parts[1]).\($0).\(parts[3])" } ?? name
    }

    private static let whole = [
        "token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    ]

    private static let layer = [
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "post_attention_norm": "post_attention_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    ]
}
