import Shared

/// Laying out a decoder's weights: each rank plans to read and convert its own part and nothing else.
extension DecoderTargetModel {
    /// A model of zeros, which `plan` fills.
    ///
    /// - Parameters:
    ///   - positions: The longest sequence that will be asked for, in rows.
    ///   - expertParallel: Whether ranks have whole experts, instead of a part of each.
    init(
        _ description: DecoderDescription, _ plan: WeightPlan, communicator: any Communicator, positions: Int,
        expertParallel: Bool = false
    ) throws {
        guard communicator.size <= description.numAttentionHeads else {
            throw OptionsError.rule(
                "--tp-size \(communicator.size) is more than the target's \(description.numAttentionHeads) attention heads"
            )
        }
        let shard = DecoderShard(description, plan, communicator, expertParallel: expertParallel)
        self.description = description
        self.communicator = communicator
        memory = plan.memory
        embedding = VocabParallelEmbedding(
            vocabulary: shard.part(description.vocabSize), weight: try shard.vocabularyRows(shard.names.embedding),
            communicator: communicator)
        rotations = description.rotations.map { RotaryTables($0, positions: positions) }
        perLayerEmbedding = try description.perLayerInputs.map { try shard.perLayerEmbedding($0) }
        layers = try plan.layers { try description.layers.indices.map { try shard.layer($0) } }
        norm = try shard.hiddenNorm(shard.names.finalNorm)
        head = ColumnParallelLinear(
            weight: description.tiesWordEmbeddings
                ? embedding.weight : try shard.vocabularyRows(shard.names.head),
            bias: nil)
        let (names, isTied) = (shard.names, description.tiesWordEmbeddings)
        let unused = description.unusedTensors.map { "\(names.model).\($0)." }
        try plan.expectNoOthers { name in
            names.isIgnored(name) || unused.contains { name.hasPrefix($0) }
                || isTied && DecoderTensorNames.heads.contains(name)
        }
    }
}

extension DecoderShard {
    /// The embedding of each token for each layer, and what is added to it of the token's own embedding.
    func perLayerEmbedding(_ inputs: DecoderDescription.PerLayerInputs) throws(WeightsError) -> PerLayerEmbedding {
        let width = inputs.size * description.layers.count
        let table = "\(names.model).embed_tokens_per_layer"
        return PerLayerEmbedding(
            table: VocabParallelEmbedding(
                vocabulary: part(inputs.vocabSize),
                weight: try vocabularyRows(table, inputs.vocabSize, features: width), communicator: communicator),
            projection: try columnParallel(
                [("\(names.model).per_layer_model_projection", Array(0..<width), width)], hasBias: false),
            norm: try norm("\(names.model).per_layer_projection_norm", inputs.size))
    }
}

/// The names of a checkpoint's tensors.
///
/// Those of a model of text and images have the text's part under `language_model`, in one of two places.
struct DecoderTensorNames {
    let model: String
    let head: String

    init(_ plan: WeightPlan) {
        (model, head) = Self.layouts.first { plan.contains("\($0.model).embed_tokens.weight") } ?? Self.layouts[0]
    }

    private static let layouts: [(model: String, head: String)] = [
        ("model", "lm_head"), ("language_model.model", "language_model.lm_head"),
        ("model.language_model", "lm_head"), ("backbone", "lm_head"),
    ]

    /// The tensors that may be a head, in whichever layout.
    static let heads = Set(layouts.map { "\($0.head).weight" })

    var embedding: String { "\(model).embed_tokens" }
    var finalNorm: String { "\(model).final_norm" }
    func layer(_ index: Int) -> String { "\(model).layers.\(index)" }

    /// What sees images and hears, and what predicts several tokens at once: parts of other models.
    private static let others = [
        "vision_model.", "vision_tower.", "visual.", "multi_modal_projector.", "audio_tower.", "embed_vision.",
        "embed_audio.", "mtp.",
    ]

    /// Whether a tensor says nothing about the text model: tables that are computed, and other models.
    func isIgnored(_ name: String) -> Bool {
        name.hasSuffix("rotary_emb.inv_freq")
            || Self.others.contains { part in name.hasPrefix(part) || name.hasPrefix("model.\(part)") }
    }
}
