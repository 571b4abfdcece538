import Shared

/// The configuration of a DFlash or DSpark draft: Qwen3's own keys, `block_size`, and `dflash_config` as z-lab's checkpoints
/// and engines have it; DSpark's keys stand beside those.
struct DFlashConfiguration: DraftConfiguration {
    let shape: BlockShape
    let rope: RopeConfiguration
    let targetLayers: [Int]
    let json: JSONText

    var vocabSize: Int { shape.vocabSize }
    var draftVocabSize: Int { shape.draftVocabSize }
    var method: String { shape.markovRank > 0 ? "dspark" : "dflash" }

    static let defaultDraftVocabSize = 32_000
    static let defaultLayers = 2
    static let defaultBlockSize = 8
    static let defaultFeatures = 5
    /// What DSpark drafts are called in the registry.
    static let dsparkArchitecture = "Qwen3DSparkModel"

    func canAlignFeatures(freezesHead: Bool) -> Bool { true }

    /// The target's sizes, two layers, blocks in which seven tokens are drafted, and the last id of the vocabulary for the
    /// mask, which hardly any text has.
    static func generated(
        _ architecture: String, target: ModelConfiguration, draftVocabSize: Int?
    ) throws(JSONError) -> DFlashConfiguration {
        let layers = defaultTargetLayers(target.numHiddenLayers)
        let isDSpark = architecture == dsparkArchitecture
        let drafting: [(String, JSONText)] = [
            ("target_layer_ids", .array(layers.map(JSONText.int))), ("mask_token_id", .int(target.vocabSize - 1)),
            ("sample_from_anchor", .bool(isDSpark)),
        ]
        let heads: [(String, JSONText)] = [
            ("markov_rank", .int(defaultMarkovRank(target.hiddenSize))), ("markov_head_type", .string("vanilla")),
            ("enable_confidence_head", .bool(true)), ("confidence_head_with_markov", .bool(true)),
        ]
        let members: [(String, JSONText)] = [
            ("architectures", .array([.string(architecture)])),
            ("model_type", .string("qwen3")),
            ("hidden_act", .string("silu")),
            ("hidden_size", .int(target.hiddenSize)),
            ("intermediate_size", .int(target.intermediateSize)),
            ("num_hidden_layers", .int(defaultLayers)),
            ("num_attention_heads", .int(target.numAttentionHeads)),
            ("num_key_value_heads", .int(target.numKeyValueHeads)),
            ("head_dim", .int(target.headDim)),
            ("max_position_embeddings", .int(target.maxPositionEmbeddings)),
            ("rms_norm_eps", .number(target.rmsNormEpsilon)),
            ("rope_theta", .number(target.rope.theta)),
            ("rope_scaling", .null),
            ("attention_bias", .bool(false)),
            ("layer_types", .array((0..<defaultLayers).map { _ in .string("full_attention") })),
            ("use_sliding_window", .bool(false)),
            ("initializer_range", .number(target.initializerRange)),
            ("tie_word_embeddings", .bool(false)),
            ("vocab_size", .int(target.vocabSize)),
            ("draft_vocab_size", .int(min(draftVocabSize ?? defaultDraftVocabSize, target.vocabSize))),
            ("num_target_layers", .int(target.numHiddenLayers)),
            ("block_size", .int(isDSpark ? defaultBlockSize - 1 : defaultBlockSize)),
            ("torch_dtype", .string("bfloat16")),
            ("dflash_config", .object(drafting)),
        ]
        let text = JSONText.object(members + (isDSpark ? drafting + heads : [])).pretty
        let file = try JSONFile(contents: Array(text.utf8), path: "generated draft config")
        return try DFlashConfiguration(file, target: target)
    }

    /// An eighth of the hidden size, in steps of 32, and at most the 256 of published drafts: W₂ is read once for each token
    /// that is drafted.
    static func defaultMarkovRank(_ hiddenSize: Int) -> Int { max(32, min(256, hiddenSize / 8 / 32 * 32)) }

    /// Up to five layers, evenly from the second to the last but two, as z-lab and SpecForge have them.
    static func defaultTargetLayers(_ count: Int) -> [Int] {
        let (first, last) = (min(1, max(0, count - 2)), max(0, count - 3))
        guard last > first else { return [first] }
        let features = min(defaultFeatures, last - first + 1)
        return (0..<features).map { first + ($0 * (last - first) + (features - 1) / 2) / (features - 1) }
    }

    init(_ file: JSONFile, target: ModelConfiguration) throws(JSONError) {
        let (root, own) = (file.root, try ModelConfiguration(file))
        try Self.refuseUnsupported(root, own)
        for (key, found, wanted) in [
            ("hidden_size", own.hiddenSize, target.hiddenSize), ("vocab_size", own.vocabSize, target.vocabSize),
            (
                "num_target_layers", try root.int("num_target_layers", default: target.numHiddenLayers),
                target.numHiddenLayers
            ),
        ] where found != wanted {
            throw try root.required(key).error("is \(found), should be the target's \(wanted)")
        }
        let draftVocabSize = try root.int("draft_vocab_size", default: own.vocabSize)
        guard 1...own.vocabSize ~= draftVocabSize else {
            throw try root.required("draft_vocab_size").error(
                "is \(draftVocabSize), should be between 1 and vocab_size, \(own.vocabSize)")
        }
        let blockSize = try root.int("block_size")
        guard 2...64 ~= blockSize else {
            throw try root.required("block_size").error("is \(blockSize), should be between 2 and 64")
        }
        let mask = try Self.required(root, "mask_token_id")
        guard try 0..<own.vocabSize ~= mask.asInt() else {
            throw mask.error("is \(try mask.asInt()), should be a token below vocab_size, \(own.vocabSize)")
        }
        targetLayers = try Self.targetLayers(root, target)
        shape = BlockShape(
            hiddenSize: own.hiddenSize, intermediateSize: own.intermediateSize, numHiddenLayers: own.numHiddenLayers,
            numAttentionHeads: own.numAttentionHeads, numKeyValueHeads: own.numKeyValueHeads, headDim: own.headDim,
            rmsNormEpsilon: Float(own.rmsNormEpsilon), featureCount: targetLayers.count, vocabSize: own.vocabSize,
            draftVocabSize: draftVocabSize, blockSize: blockSize,
            anchorFirst: try Self.option(root, "sample_from_anchor")?.asBool() ?? false,
            maskToken: Int32(try mask.asInt()), spans: try Self.spans(root, own.numHiddenLayers),
            markovRank: try Self.markovRank(root), confidence: try Self.confidence(root))
        rope = own.rope
        json = JSONText(root.value)
    }

    /// A key of `dflash_config`, which may stand beside it as well.
    private static func option(_ root: JSONNode, _ key: String) throws(JSONError) -> JSONNode? {
        if let node = root["dflash_config"], let own = try node.asObject()[key] { return own }
        return root[key]
    }

    private static func required(_ root: JSONNode, _ key: String) throws(JSONError) -> JSONNode {
        if let node = try option(root, key) { return node }
        return try (root["dflash_config"] ?? root).required(key)
    }

    private static func targetLayers(_ root: JSONNode, _ target: ModelConfiguration) throws(JSONError) -> [Int] {
        let node = try required(root, "target_layer_ids")
        let layers = try node.asArray().map { (element: JSONNode) throws(JSONError) -> Int in try element.asInt() }
        // The last layer's output is normalised in some engines and not in others.
        let last = max(1, target.numHiddenLayers - 1)
        guard !layers.isEmpty, layers.allSatisfy({ 0..<last ~= $0 }), zip(layers, layers.dropFirst()).allSatisfy(<)
        else {
            throw node.error("is \(layers), should be ascending layers of the target's below its last, \(last)")
        }
        return layers
    }

    private static func markovRank(_ root: JSONNode) throws(JSONError) -> Int {
        let rank = try root.int("markov_rank", default: 0)
        guard 0...65_536 ~= rank else {
            throw try root.required("markov_rank").error("is \(rank), should be between 0 and 65536")
        }
        return rank
    }

    private static func confidence(_ root: JSONNode) throws(JSONError) -> BlockShape.Confidence? {
        guard try root.bool("enable_confidence_head", default: false) else { return nil }
        let hasMarkov = try root.int("markov_rank", default: 0) > 0
        guard try root.bool("confidence_head_with_markov", default: hasMarkov) else { return .hidden }
        guard hasMarkov else {
            throw try root.required("confidence_head_with_markov").error("is true, which needs a markov_rank above 0")
        }
        return .hiddenAndToken
    }

    /// Sliding layers count their window from the anchor, and are causal unless `causal` says otherwise.
    private static func spans(_ root: JSONNode, _ count: Int) throws(JSONError) -> [BlockShape.Span] {
        var causal: Bool?
        if let node = root["is_causal"] { causal = try node.asBool() }
        if let node = try option(root, "causal") { causal = try node.asBool() }
        guard let node = root["layer_types"] else {
            if try root.bool("use_sliding_window", default: false) {
                throw try root.required("use_sliding_window").error("is true, which needs layer_types")
            }
            return (0..<count).map { _ in BlockShape.Span(isCausal: causal ?? false) }
        }
        let types = try node.asArray().map { (element: JSONNode) throws(JSONError) -> String in
            try element.asString()
        }
        guard types.count == count else {
            throw node.error("has \(types.count) elements, should have one for each of \(count) layers")
        }
        return try types.map { (type: String) throws(JSONError) -> BlockShape.Span in
            switch type {
            case "full_attention": return BlockShape.Span(isCausal: causal ?? false)
            case "sliding_attention":
                let window = try root.int("sliding_window")
                guard window > 0 else {
                    throw try root.required("sliding_window").error("is \(window), should be above 0")
                }
                return BlockShape.Span(window: window, isCausal: causal ?? true)
            default:
                throw node.error("has '\(type)', supported are full_attention and sliding_attention")
            }
        }
    }

    /// Keys that would change what the draft computes, and their only supported values.
    private static func refuseUnsupported(_ root: JSONNode, _ own: ModelConfiguration) throws(JSONError) {
        for key in ["attention_bias", "mlp_bias", "tie_word_embeddings"]
        where try root.bool(key, default: false) {
            throw try root.required(key).error("is true, which isn't supported")
        }
        if let node = try option(root, "use_swa"), try node.asBool() {
            throw node.error("is true; windows are given by layer_types and sliding_window")
        }
        let kind = try root.string("markov_head_type", default: "vanilla")
        guard kind == "vanilla" else {
            throw try root.required("markov_head_type").error("is '\(kind)', supported is vanilla")
        }
        guard own.hiddenActivation == "silu" else {
            throw try root.required("hidden_act").error("is '\(own.hiddenActivation)', supported is silu")
        }
    }

    /// Engines read `target_layer_ids`.
    func layersChosen(by engine: InferenceEngine, _ target: ModelConfiguration) -> AuxiliaryLayers? { nil }

    /// Only with a Markov head do engines sample from the anchor by themselves.
    ///
    /// SGLang drops a reduced vocabulary, and
    /// OpenVINO isn't known to read one; llama.cpp has one rule for all layers, and its confidence head sees the Markov
    /// head's numbers; vLLM mixes layers with and without a window, and serves DSpark, on GPUs alone.
    func lackingOptions(of engine: InferenceEngine) -> [String] {
        let sliding = shape.spans.count { $0.window != nil }
        let isPlain = shape.spans.allSatisfy { $0.isCausal == ($0.window != nil) }
        let options: [(isUsed: Bool, key: String, engines: [InferenceEngine])] = [
            (shape.hasOwnHead, "draft_vocab_size", [.vllm, .llamaCpp]),
            (shape.anchorFirst, "sample_from_anchor", shape.markovRank > 0 ? [.llamaCpp, .vllm, .sglang] : []),
            (shape.markovRank > 0, "markov_rank", [.llamaCpp, .vllm, .sglang]),
            (shape.confidence == .hidden, "confidence_head_with_markov", [.vllm, .sglang]),
            (sliding > 0, "layer_types", sliding == shape.spans.count ? [.vllm, .sglang] : [.sglang]),
            (!isPlain, "causal", [.vllm, .llamaCpp]),
        ]
        return options.filter { $0.isUsed && !$0.engines.contains(engine) }.map(\.key)
    }

    func makeDraft(
        _ training: DFlashOptions, _ settings: DraftSettings, _ compute: Compute
    ) throws(JSONError) -> any DraftModel {
        guard !settings.startsFromRandomHead else {
            throw JSONError("--lm-head-init random has no effect: the head of this draft is the target's")
        }
        guard settings.objective == .crossEntropy else {
            throw JSONError("--lk-loss-type has no effect: this draft's are --ce-, --kl- and --tv-loss-weight")
        }
        return try makeDraft(training.training, positions: settings.positions, compute)
    }

    func makeDraft(
        _ training: BlockTraining, positions: Int, _ compute: Compute
    ) throws(JSONError) -> DFlashDraftModel {
        let positions = positions + shape.blockSize
        let rotary = try RotaryScaling(rope, headDim: shape.headDim).embedding(positions: positions, length: positions)
        return DFlashDraftModel(shape, training, rotary: rotary, compute)
    }
}
