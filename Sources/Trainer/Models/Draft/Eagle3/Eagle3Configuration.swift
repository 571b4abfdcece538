import Shared

/// The draft's `config.json`: read, or generated from its target.
///
/// Written with every key that SGLang, vLLM and llama.cpp read: what they compute with is the draft's own, so head
/// size, rotation and padding are copied from the target too.
struct Eagle3Configuration: DraftConfiguration {
    let shape: Eagle3DraftModel.Shape
    let vocabSize: Int
    let rope: RopeConfiguration
    /// `eagle_aux_hidden_state_layer_ids`.
    let targetLayers: [Int]
    /// Everything that `config.json` will hold.
    let json: JSONText

    static let defaultDraftVocabSize = 32_000

    var draftVocabSize: Int { shape.draftVocabSize }

    static func generated(
        _ architecture: String, target: ModelConfiguration, draftVocabSize: Int?
    ) throws(JSONError) -> Eagle3Configuration {
        let draftVocabSize = draftVocabSize ?? defaultDraftVocabSize
        let members: [(String, JSONText)] = [
            ("architectures", .array([.string(architecture)])),
            ("model_type", .string("llama")),
            ("hidden_act", .string("silu")),
            ("hidden_size", .int(target.hiddenSize)),
            ("target_hidden_size", .int(target.hiddenSize)),
            ("intermediate_size", .int(target.intermediateSize)),
            ("num_attention_heads", .int(target.numAttentionHeads)),
            ("num_key_value_heads", .int(target.numKeyValueHeads)),
            ("head_dim", .int(target.headDim)),
            ("num_hidden_layers", .int(1)),
            ("max_position_embeddings", .int(target.maxPositionEmbeddings)),
            ("rms_norm_eps", .number(target.rmsNormEpsilon)),
            ("rope_theta", .number(target.rope.theta)),
            ("rope_scaling", target.rope.draftScaling),
            ("attention_bias", .bool(false)),
            ("mlp_bias", .bool(false)),
            ("initializer_range", .number(target.initializerRange)),
            ("tie_word_embeddings", .bool(false)),
            ("use_cache", .bool(true)),
            ("vocab_size", .int(target.vocabSize)),
            ("draft_vocab_size", .int(min(draftVocabSize, target.vocabSize))),
            ("bos_token_id", target.bosTokenID.map(JSONText.int) ?? .null),
            (
                "eos_token_id",
                target.eosTokenIDs.count == 1
                    ? .int(target.eosTokenIDs[0]) : .array(target.eosTokenIDs.map(JSONText.int))
            ),
            ("pad_token_id", .int(target.padTokenID ?? 0)),
            ("torch_dtype", .string("bfloat16")),
            ("eagle_config", .object([("use_aux_hidden_state", .bool(true))])),
        ]
        let text = AuxiliaryLayers(ofLayers: target.numHiddenLayers).written(to: .object(members)).pretty
        let file = try JSONFile(contents: Array(text.utf8), path: "generated draft config")
        return try Eagle3Configuration(file, target: target)
    }

    init(_ file: JSONFile, target: ModelConfiguration) throws(JSONError) {
        let root = file.root
        let configuration = try ModelConfiguration(file)
        try Self.refuseUnsupported(root, configuration)
        let draftVocabSize = try root.int("draft_vocab_size")
        try Self.check(root, "vocab_size", configuration.vocabSize, equals: target.vocabSize)
        guard configuration.hiddenSize == target.hiddenSize else {
            throw try root.required("hidden_size").error(
                "is \(configuration.hiddenSize), should be the target's \(target.hiddenSize): a draft of another width "
                    + "needs an embedding of its own, which isn't supported")
        }
        let targetHiddenSize = try root.int("target_hidden_size", default: target.hiddenSize)
        try Self.check(root, "target_hidden_size", targetHiddenSize, equals: target.hiddenSize)
        guard draftVocabSize > 0, draftVocabSize <= configuration.vocabSize else {
            throw try root.required("draft_vocab_size").error(
                "is \(draftVocabSize), should be between 1 and vocab_size, \(configuration.vocabSize)")
        }
        shape = Eagle3DraftModel.Shape(
            hiddenSize: configuration.hiddenSize, targetHiddenSize: targetHiddenSize,
            intermediateSize: configuration.intermediateSize, numAttentionHeads: configuration.numAttentionHeads,
            numKeyValueHeads: configuration.numKeyValueHeads, headDim: configuration.headDim,
            draftVocabSize: draftVocabSize, rmsNormEpsilon: Float(configuration.rmsNormEpsilon),
            numHiddenLayers: configuration.numHiddenLayers, fcNorm: try root.bool("fc_norm", default: false),
            normBeforeFC: try root.bool("norm_before_fc", default: false),
            normBeforeResidual: try root.bool("norm_before_residual", default: false),
            normOutput: try root.bool("norm_output", default: false))
        vocabSize = configuration.vocabSize
        rope = configuration.rope
        let layers = try AuxiliaryLayers(root, ofLayers: target.numHiddenLayers)
        targetLayers = layers.outputs
        json = withExtendedLifetime(file) { layers.written(to: JSONText(root.value)) }
    }

    func makeDraft(
        _ training: Eagle3Options, _ settings: DraftSettings, _ compute: Compute
    ) throws(JSONError) -> any DraftModel {
        Eagle3DraftModel(
            shape, training.training,
            rotary: try rotary(positions: settings.positions + training.training.tttLength),
            freezesHead: settings.freezesHead, objective: settings.objective, compute)
    }

    func canAlignFeatures(freezesHead: Bool) -> Bool { freezesHead && shape.hiddenSize == shape.targetHiddenSize }

    func lackingOptions(of engine: InferenceEngine) -> [String] {
        engine.lacking(
            [
                ("fc_norm", shape.fcNorm), ("norm_before_fc", shape.normBeforeFC),
                ("norm_before_residual", shape.normBeforeResidual), ("norm_output", shape.normOutput),
                ("num_hidden_layers", shape.numHiddenLayers > 1),
            ].filter(\.1).map(\.0))
    }

    /// The rotation, for sequences of `positions` rows.
    func rotary(positions: Int) throws(JSONError) -> RotaryEmbedding {
        try RotaryScaling(rope, headDim: shape.headDim).embedding(positions: positions, length: positions)
    }

    private static func check(_ root: JSONNode, _ key: String, _ found: Int, equals wanted: Int) throws(JSONError) {
        guard found == wanted else {
            throw root[key]?.error("is \(found), should be the target's \(wanted)")
                ?? JSONError("key '\(key)' should be the target's \(wanted)")
        }
    }

    /// Keys that would change what the draft computes, and their only supported values.
    private static func refuseUnsupported(
        _ root: JSONNode, _ configuration: ModelConfiguration
    ) throws(JSONError) {
        for key in ["tie_word_embeddings", "attention_bias", "mlp_bias", "use_aux_norm"]
        where try root.bool(key, default: false) {
            throw try root.required(key).error("is true, which isn't supported")
        }
        if try root["eagle_config"]?.bool("use_aux_hidden_state", default: true) == false {
            throw try root.required("eagle_config").error("has use_aux_hidden_state false, which isn't supported")
        }
        if let node = root["eagle_config"]?["norm_before_fc"] {
            throw node.error("belongs beside eagle_config, where all engines read it")
        }
        guard try root.int("num_aux_hidden_states", default: FeatureFusion.featureCount) == FeatureFusion.featureCount
        else {
            throw try root.required("num_aux_hidden_states").error("should be \(FeatureFusion.featureCount)")
        }
        guard configuration.hiddenActivation == "silu" else {
            throw try root.required("hidden_act").error("is '\(configuration.hiddenActivation)', supported is silu")
        }
    }
}

extension RopeConfiguration {
    /// The target's scaling, unless it depends on a sequence's length: the draft learns plain rotation then, which
    /// every engine has.
    fileprivate var draftScaling: JSONText {
        ["longrope", "su", "dynamic"].contains(type) ? .null : scaling ?? .null
    }
}
