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
        layers = try plan.layers { try description.layers.indices.map { try shard.layer($0) } }
        norm = try shard.norm(shard.names.finalNorm, description.hiddenSize)
        head = ColumnParallelLinear(
            weight: description.tiesWordEmbeddings
                ? embedding.weight : try shard.vocabularyRows(shard.names.head),
            bias: nil)
        let (names, isTied) = (shard.names, description.tiesWordEmbeddings)
        try plan.expectNoOthers { names.isIgnored($0) || isTied && DecoderTensorNames.heads.contains($0) }
    }
}

/// The names of a checkpoint's tensors.
///
/// Those of a model of text and images have the text's part under `language_model`, in one of two places.
struct DecoderTensorNames {
    private let model: String
    let head: String

    init(_ plan: WeightPlan) {
        (model, head) = Self.layouts.first { plan.contains("\($0.model).embed_tokens.weight") } ?? Self.layouts[0]
    }

    private static let layouts: [(model: String, head: String)] = [
        ("model", "lm_head"), ("language_model.model", "language_model.lm_head"),
        ("model.language_model", "lm_head"),
    ]

    /// The tensors that may be a head, in whichever layout.
    static let heads = Set(layouts.map { "\($0.head).weight" })

    var embedding: String { "\(model).embed_tokens" }
    var finalNorm: String { "\(model).norm" }
    func layer(_ index: Int) -> String { "\(model).layers.\(index)" }

    /// Whether a tensor says nothing about the text model: tables that are computed, and what sees images.
    func isIgnored(_ name: String) -> Bool {
        name.hasSuffix(".rotary_emb.inv_freq")
            || ["vision_model.", "vision_tower.", "multi_modal_projector."].contains { part in
                name.hasPrefix(part) || name.hasPrefix("model.\(part)")
            }
    }
}
