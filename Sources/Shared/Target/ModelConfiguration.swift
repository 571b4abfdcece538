/// A Hugging Face `config.json`: what the programs need of it, checked.
///
/// Of a model of text and images it is the text's part, `text_config`. A key that is missing has the value that
/// transformers gives it; see `ModelDefaults`.
public struct ModelConfiguration: Sendable {
    /// How many tokens a vocabulary may have, for every reader and writer: some sixty times the largest published one.
    public static let vocabSizes = 1...1 << 24
    /// The most features of a layer, of either side: more than any model has, and so few that lists of them are small.
    public static let mostFeatures = 1 << 24
    static let positions = 1...1 << 31 - 1

    public let path: String
    private let file: JSONFile
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
    /// That of norms of any kind: `rms_norm_eps`, or the family's own key.
    public let rmsNormEpsilon: Double
    public let hiddenActivation: String
    /// The rotation of all layers, or of those that see the whole sequence.
    public let rope: RopeConfiguration
    /// The rotation of layers with a sliding window in families that have two; else nobody asks for it.
    public let slidingRope: RopeConfiguration
    public let attentionBias: Bool
    public let mlpBias: Bool
    public let tieWordEmbeddings: Bool
    public let initializerRange: Double
    public let bosTokenID: Int?
    /// Tokens that end a text; Llama 3 has several.
    public let eosTokenIDs: [Int]
    public let padTokenID: Int?

    /// Reads `config.json` of a model's directory, or the metadata of a GGUF file: the path itself, or the only one in
    /// a directory without safetensors.
    ///
    /// - Throws: `FileError`, or `JSONError` that names the key and what it should be.
    public init(directory: String) throws {
        let isSafetensors = ["model.safetensors", "model.safetensors.index.json"].contains { name in
            fileExists("\(directory)/\(name)")
        }
        if !isSafetensors, let file = try GGUFModel.file(at: directory) {
            try self.init(GGUFModel(file).configuration)
        } else {
            try self.init(JSONFile("\(directory)/config.json"))
        }
    }

    public init(_ file: JSONFile) throws(JSONError) {
        self.file = file
        let text = try Self.text(file).asObject()
        path = file.path
        architectures = try (file.root["architectures"]?.asArray() ?? [JSONNode]()).map {
            (node: JSONNode) throws(JSONError) -> String in
            try node.asString()
        }
        modelType = try Self.modelType(file)
        let defaults = ModelDefaults.of(modelType)
        hiddenSize = try Self.positive(text, "hidden_size")
        intermediateSize = try Self.intermediateSize(text, hiddenSize: hiddenSize)
        numHiddenLayers = try Self.layerCount(text)
        numAttentionHeads = try Self.positive(text, "num_attention_heads", default: defaults.numAttentionHeads)
        vocabSize = try Self.vocabSize(text, defaults)
        let kvHeads = try text.int("num_key_value_heads", default: defaults.numKeyValueHeads ?? numAttentionHeads)
        guard kvHeads > 0, numAttentionHeads.isMultiple(of: kvHeads) else {
            throw try text.required("num_key_value_heads").error(
                "is \(kvHeads), should divide num_attention_heads, \(numAttentionHeads)")
        }
        numKeyValueHeads = kvHeads
        let headDim = try text.int("head_dim", default: defaults.headDim ?? hiddenSize / numAttentionHeads)
        guard 2..<1 << 16 ~= headDim, headDim.isMultiple(of: 2) else {
            throw JSONError("key 'head_dim' is \(headDim), should be even, above 0 and below \(1 << 16)", at: file.path)
        }
        self.headDim = headDim
        guard headDim * numAttentionHeads <= Self.mostFeatures else {
            throw JSONError(
                "keys 'num_attention_heads' and 'head_dim' make \(headDim * numAttentionHeads) features, should be at most "
                    + "\(Self.mostFeatures)", at: file.path)
        }
        maxPositionEmbeddings = try text.int("max_position_embeddings", default: defaults.maxPositionEmbeddings)
        guard Self.positions.contains(maxPositionEmbeddings) else {
            throw try text.required("max_position_embeddings").error(
                "is \(maxPositionEmbeddings), should be \(Self.positions.lowerBound) to \(Self.positions.upperBound)")
        }
        let epsilonKey = defaults.normEpsilonKey
        rmsNormEpsilon = try text.double(epsilonKey, default: defaults.normEpsilon)
        guard rmsNormEpsilon >= 0 else {
            throw JSONError("key '\(epsilonKey)' is \(rmsNormEpsilon), should be at least 0", at: file.path)
        }
        let activation = text["hidden_activation"] ?? text["hidden_act"] ?? text["mlp_hidden_act"]
        hiddenActivation = try activation?.asString() ?? defaults.hiddenActivation
        rope = try RopeConfiguration(text, defaults, maxPositionEmbeddings: maxPositionEmbeddings)
        slidingRope = try RopeConfiguration(sliding: text, defaults, maxPositionEmbeddings: maxPositionEmbeddings)
        attentionBias = try text.bool("attention_bias", default: defaults.attentionBias)
        mlpBias = try text.bool("mlp_bias", default: false)
        tieWordEmbeddings =
            try (text["tie_word_embeddings"] ?? text["tie_embedding"] ?? file.root["tie_word_embeddings"])?.asBool()
            ?? defaults.tieWordEmbeddings
        initializerRange = try text.double("initializer_range", default: 0.02)
        bosTokenID = try Self.tokens(text["bos_token_id"] ?? file.root["bos_token_id"]).first
        padTokenID = try Self.tokens(text["pad_token_id"] ?? file.root["pad_token_id"]).first
        eosTokenIDs = try Self.endTokens(file, nil)
    }

    /// The vocabulary's size alone, of a model whose other keys may be those of a family that isn't supported.
    ///
    /// - Throws: `JSONError` that names the key, or `text_config` where it isn't there.
    public static func vocabSize(_ file: JSONFile) throws(JSONError) -> Int {
        let text = text(file)
        return try vocabSize(text, ModelDefaults.of(modelType(file)))
    }

    /// The tokens that end a text: those that a model's `config.json` names, for the whole model or its text part, and
    /// then those that its `generation_config.json` adds, each once.
    public static func endTokens(_ config: JSONFile?, _ generation: JSONFile?) throws(JSONError) -> [Int] {
        var ids: [Int] = []
        for node in [config?.root, config?.root["text_config"], generation?.root] {
            for id in try tokens(node?["eos_token_id"]) where !ids.contains(id) { ids.append(id) }
        }
        return ids
    }

    /// The ids of `bos_token_id` and its like, in a `config.json` or a `generation_config.json`: one, several or none.
    ///
    /// Negative ones stand for none.
    public static func tokens(_ node: JSONNode?) throws(JSONError) -> [Int] {
        guard let node else { return [] }
        let nodes = node.value.kind == .array ? node.elements : [node]
        return try nodes.map { element throws(JSONError) in try element.asInt() }.filter { $0 >= 0 }
    }

    /// The keys of the text model, for what only some families have.
    public var text: JSONNode { Self.text(file) }

    /// The keys of the whole model, which differ from `text` where it sees images too.
    public var root: JSONNode { file.root }

    private static func text(_ file: JSONFile) -> JSONNode { file.root["text_config"] ?? file.root }

    private static func positive(_ root: JSONNode, _ key: String, default: Int?) throws(JSONError) -> Int {
        if root[key] == nil, let value = `default` { return value }
        return try positive(root, key)
    }

    /// Intermediate features of a dense feed-forward network; in a model whose layers all have experts, and which has no
    /// key for it, four times the hidden size: what a draft for it takes.
    private static func intermediateSize(_ text: JSONNode, hiddenSize: Int) throws(JSONError) -> Int {
        if text["intermediate_size"] == nil, text["moe_intermediate_size"] != nil { return 4 * hiddenSize }
        return try positive(text, "intermediate_size")
    }

    /// `num_hidden_layers`, or as many as `layers_block_type` names (Nemotron-H).
    private static func layerCount(_ text: JSONNode) throws(JSONError) -> Int {
        if text["num_hidden_layers"] == nil, let kinds = text["layers_block_type"], !kinds.elements.isEmpty {
            return kinds.elements.count
        }
        let count = try positive(text, "num_hidden_layers")
        guard count < 1 << 16 else {
            throw try text.required("num_hidden_layers").error("is \(count), should be below \(1 << 16)")
        }
        return count
    }

    private static func positive(_ root: JSONNode, _ key: String) throws(JSONError) -> Int {
        let node = try root.required(key)
        let value = try node.asInt()
        guard value > 0 else { throw node.error("is \(value), should be above 0") }
        guard value <= mostFeatures else { throw node.error("is \(value), should be at most \(mostFeatures)") }
        return value
    }

    private static func vocabSize(_ text: JSONNode, _ defaults: ModelDefaults) throws(JSONError) -> Int {
        guard let node = text["vocab_size"] else {
            guard let size = defaults.vocabSize else { return try text.int("vocab_size") }
            return size
        }
        let size = try node.asInt()
        guard vocabSizes.contains(size) else { throw node.error("is \(size), should be \(vocabSizes.words)") }
        return size
    }

    /// The family that has the defaults; of a model of text and images, that of its text part.
    private static func modelType(_ file: JSONFile) throws(JSONError) -> String {
        let name = try file.root.string("model_type", default: "")
        return try file.root["text_config"]?.string("model_type", default: name + "_text") ?? name
    }
}
