/// A Hugging Face `config.json`: what the programs need of it, checked.
public struct ModelConfiguration: Sendable {
    public let path: String
    public let architectures: [String]
    public let modelType: String
    public let hiddenSize: Int
    public let intermediateSize: Int
    public let numHiddenLayers: Int
    public let numAttentionHeads: Int
    public let numKeyValueHeads: Int
    public let headDim: Int
    public let vocabSize: Int
    public let maxPositionEmbeddings: Int
    public let rmsNormEpsilon: Double
    public let hiddenActivation: String
    public let rope: RopeConfiguration
    public let attentionBias: Bool
    public let mlpBias: Bool
    public let tieWordEmbeddings: Bool
    public let initializerRange: Double
    public let bosTokenID: Int?
    /// Usually one; Llama 3 has several.
    public let eosTokenIDs: [Int]
    public let padTokenID: Int?

    /// Reads `config.json` of a model's directory.
    /// - Throws: `FileError`, or `JSONError` that names the key and what it should be.
    public init(directory: String) throws {
        try self.init(JSONFile("\(directory)/config.json"))
    }

    public init(_ file: JSONFile) throws(JSONError) {
        let root = file.root
        path = file.path
        architectures = try (root["architectures"]?.elements ?? [JSONNode]()).map {
            (node: JSONNode) throws(JSONError) -> String in
            try node.asString()
        }
        modelType = try root.string("model_type", default: "")
        hiddenSize = try Self.positive(root, "hidden_size")
        intermediateSize = try Self.positive(root, "intermediate_size")
        numHiddenLayers = try Self.positive(root, "num_hidden_layers")
        numAttentionHeads = try Self.positive(root, "num_attention_heads")
        vocabSize = try Self.positive(root, "vocab_size")
        let kvHeads = try root.int("num_key_value_heads", default: numAttentionHeads)
        guard kvHeads > 0, numAttentionHeads.isMultiple(of: kvHeads) else {
            throw try root.required("num_key_value_heads").error(
                "is \(kvHeads), should divide num_attention_heads, \(numAttentionHeads)")
        }
        numKeyValueHeads = kvHeads
        let headDim = try root.int("head_dim", default: hiddenSize / numAttentionHeads)
        guard headDim > 0, headDim.isMultiple(of: 2) else {
            throw JSONError("key 'head_dim' is \(headDim), should be even and above 0", at: file.path)
        }
        self.headDim = headDim
        maxPositionEmbeddings = try root.int("max_position_embeddings", default: 2048)
        rmsNormEpsilon = try root.double("rms_norm_eps", default: 1e-6)
        hiddenActivation = try root.string("hidden_act", default: "silu")
        rope = try RopeConfiguration(root)
        attentionBias = try root.bool("attention_bias", default: false)
        mlpBias = try root.bool("mlp_bias", default: false)
        tieWordEmbeddings = try root.bool("tie_word_embeddings", default: false)
        initializerRange = try root.double("initializer_range", default: 0.02)
        bosTokenID = try root["bos_token_id"]?.asInt()
        padTokenID = try root["pad_token_id"]?.asInt()
        eosTokenIDs = try Self.oneOrMany(root, "eos_token_id")
    }

    private static func positive(_ root: JSONNode, _ key: String) throws(JSONError) -> Int {
        let node = try root.required(key)
        let value = try node.asInt()
        guard value > 0, value < 1 << 31 else { throw node.error("is \(value), should be above 0") }
        return value
    }

    private static func oneOrMany(_ root: JSONNode, _ key: String) throws(JSONError) -> [Int] {
        guard let node = root[key] else { return [] }
        guard node.value.kind == .array else { return [try node.asInt()] }
        return try node.elements.map { (element) throws(JSONError) in try element.asInt() }
    }
}

/// How positions turn a head: `rope_theta` and `rope_scaling`, or transformers 5's `rope_parameters`.
public struct RopeConfiguration: Sendable {
    public let theta: Double
    /// The kind of scaling: "default" for none.
    public let type: String
    /// The scaling's other keys, as they are written.
    public let parameters: [String: Double]
    /// `rope_scaling` as it is written, to be copied into the draft's configuration.
    public let scaling: JSONText?
    private let path: String

    init(_ root: JSONNode) throws(JSONError) {
        let node = root["rope_scaling"] ?? root["rope_parameters"]
        let scaling = node?.value.kind == .object ? node : nil
        theta = try (root["rope_theta"] ?? scaling?["rope_theta"])?.asDouble() ?? 10_000
        type = try (scaling?["rope_type"] ?? scaling?["type"])?.asString() ?? "default"
        var parameters: [String: Double] = [:]
        for (key, value) in scaling?.members ?? [] { parameters[key] = value.value.double }
        self.parameters = parameters
        self.scaling = type == "default" ? nil : scaling.map { JSONText($0.value) }
        path = root.error("").place
        guard theta > 0 else { throw JSONError("key 'rope_theta' is \(theta), should be above 0", at: path) }
    }

    /// A parameter of the scaling that must be there.
    public func parameter(_ key: String) throws(JSONError) -> Double {
        guard let value = parameters[key] else {
            throw JSONError("key 'rope_scaling.\(key)' is missing, which rope type '\(type)' needs", at: path)
        }
        return value
    }

    /// An error about the kind of scaling.
    public func unsupported(_ supported: [String]) -> JSONError {
        JSONError(
            "key 'rope_scaling.rope_type' is '\(type)', supported are \(supported.joined(separator: ", "))", at: path)
    }
}
