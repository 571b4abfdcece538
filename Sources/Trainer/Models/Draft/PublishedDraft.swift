import Shared

/// The weights of a draft's directory by the names that Eyrie and SpecForge give them, whoever wrote them.
///
/// The first layer of an EAGLE-3 draft is `midlayer`, or `layers.0` to speculators and ModelOpt; all may stand below
/// `model.`. Drafts of other architectures have their own names. Files are `model.safetensors` or the shards of an index.
struct PublishedDraft {
    /// The file that has the tensors, or names the files that do.
    let path: String
    let tensors: [String: StoredTensor]
    /// Whether `config.json` says that the head is the embedding.
    let isTied: Bool

    static let embedding = "embed_tokens.weight"

    /// What the tensors say of a draft's form, where a configuration may say nothing or something else.
    struct Contents: Equatable {
        /// Decoder layers that have weights.
        var layers: Int
        /// The rows of the head, or the length of the mapping.
        var draftVocabSize: Int?
        /// Whether a layer has a norm of its own for the target's features.
        var hasHiddenNorm: Bool
        /// The shape of `fc.weight`.
        var fusion: [Int]?
    }

    /// - Throws: `FileError` if there is no configuration; `WeightsError` if there are no safetensors, or a name stands for two tensors.
    init(_ directory: String) throws {
        let configuration = try JSONFile(SavedDraft.configurationPath(directory)).root
        let single = "\(directory)/model.safetensors"
        guard fileExists(single) || fileExists("\(single).index.json") else {
            let others = try listDirectory(directory).filter { $0.hasSuffix(".bin") || $0.hasSuffix(".pt") }
            let found = others.isEmpty ? "" : ", only \(others.joined(separator: ", ")), whose format isn't read"
            throw WeightsError(directory, "has neither model.safetensors nor model.safetensors.index.json\(found)")
        }
        let files = try WeightDirectory(directory)
        path = files.source
        let isEagle3 = try Self.isEagle3(configuration)
        var tensors: [String: StoredTensor] = [:]
        for name in files.names {
            let tensor = try files.tensor(name)
            let own = isEagle3 ? Self.rename(name) : name
            guard tensors.updateValue(tensor, forKey: own) == nil else {
                throw tensor.error("is there twice, also as '\(own)'")
            }
        }
        self.tensors = tensors
        isTied = try configuration.bool("tie_word_embeddings", default: false)
    }

    /// The tensor of a name.
    /// - Throws: `WeightsError` that names the file and the tensor, if there is none.
    func tensor(_ name: String) throws(WeightsError) -> StoredTensor {
        guard let tensor = tensors[name] else { throw WeightsError(path, tensor: name, "is missing") }
        return tensor
    }

    var contents: Contents {
        let further = tensors.keys.compactMap { name in
            name.hasPrefix("layers.") ? UInt16(name.dropFirst(7).prefix { $0 != "." }).map(Int.init) : nil
        }
        return Contents(
            layers: 1 + (further.max() ?? 0),
            draftVocabSize: (tensors["d2t"] ?? tensors["lm_head.weight"])?.shape.first,
            hasHiddenNorm: tensors["midlayer.hidden_norm.weight"] != nil, fusion: tensors["fc.weight"]?.shape)
    }

    private static func rename(_ name: String) -> String {
        var name = name
        if name.hasPrefix("model.") { name.removeFirst(6) }
        return name.hasPrefix("layers.0.") ? "midlayer.\(name.dropFirst(9))" : name
    }
}

// MARK: - config.json

extension PublishedDraft {
    /// Names of the one architecture in the configurations of others: EAGLE's own, AngelSlim's and vLLM's,
    /// speculators'.
    private static let aliases = [
        "LlamaForCausalLM", "Eagle3LlamaForCausalLM", "Eagle3DraftModel", "Eagle3Speculator",
    ]

    /// Whether a configuration names EAGLE-3's architecture by any of its names, or none at all.
    private static func isEagle3(_ root: JSONNode) throws(JSONError) -> Bool {
        guard let name = try root["architectures"]?.elements.first?.asString() else { return true }
        return name == DraftRegistry.defaultArchitecture || aliases.contains(name)
    }

    /// Keys of ModelOpt's `eagle_config`, and the only value of each that is what an EAGLE-3 draft computes.
    private static let modelOpt: [(key: String, value: Bool)] = [
        ("use_input_layernorm_in_first_layer", true), ("use_last_layernorm", true), ("use_mtp_layernorm", false),
        ("next_layer_regular", true),
    ]

    /// An EAGLE-3 draft's configuration by the keys that Eyrie and SpecForge have; another's as it is.
    ///
    /// - Parameters:
    ///   - file: As it was published: speculators nest the decoder layer's keys in `transformer_layer_config`.
    ///   - contents: What the tensors say, if they are there. They count: how many layers there are where the
    ///     configuration has the target's number, and how large the draft's vocabulary is where it has none.
    /// - Throws: `JSONError` for what would be computed in another way.
    static func configuration(_ file: JSONFile, _ contents: Contents?) throws(JSONError) -> JSONFile {
        guard try isEagle3(file.root) else { return file }
        var text = withExtendedLifetime(file) { JSONText(file.root.value) }
        if let layer = file.root["transformer_layer_config"], case .object(let members) = JSONText(layer.value) {
            for (key, value) in members where text[key] == nil { text = text.setting(key, value) }
            text = text.removing("transformer_layer_config")
        }
        text = text.setting("architectures", .array([.string(DraftRegistry.defaultArchitecture)]))
        for (key, value) in modelOpt {
            guard let node = file.root["eagle_config"]?[key], try node.asBool() != value else { continue }
            throw node.error("is \(!value), which isn't supported")
        }
        if let node = file.root["eagle_config"]?["parallel_draft_step"], try node.asInt() > 1 {
            throw node.error("is \(try node.asInt()), a draft of several tokens at a time, which isn't supported")
        }
        if let contents { text = try fitted(text, to: contents, file) }
        if text["draft_vocab_size"] == nil, let size = text["vocab_size"] {
            text = text.setting("draft_vocab_size", size)
        }
        return try JSONFile(contents: Array(text.pretty.utf8), path: file.path)
    }

    private static func fitted(
        _ text: JSONText, to contents: Contents, _ file: JSONFile
    ) throws(JSONError) -> JSONText {
        var text = text
        if case .int(let hidden) = text["hidden_size"], let shape = contents.fusion, shape.count == 2,
            shape[1] == 2 * hidden, !contents.hasHiddenNorm
        {
            throw JSONError(
                "fc.weight is \(shape): the draft of EAGLE-1 or 2, which sees one feature and no others than that; "
                    + "supported are EAGLE-3's", at: file.path)
        }
        if case .int(let layers) = text["num_hidden_layers"], layers > 1, contents.layers == 1 {
            Log.line(
                "\(file.path): num_hidden_layers is \(layers), but there are weights of one layer: the draft has one")
            text = text.setting("num_hidden_layers", .int(1))
        }
        // A head of its own, or of another vocabulary, is no embedding.
        if text["tie_word_embeddings"] == .bool(true) { text = text.setting("tie_word_embeddings", .bool(false)) }
        if text["draft_vocab_size"] == nil, let size = contents.draftVocabSize {
            text = text.setting("draft_vocab_size", .int(size))
        }
        return text
    }
}

extension JSONText {
    fileprivate func removing(_ key: String) -> JSONText {
        guard case .object(let members) = self else { return self }
        return .object(members.filter { $0.0 != key })
    }
}
