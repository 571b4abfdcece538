import Shared

/// A draft as llama.cpp reads it: architecture `eagle3`, as its converter writes it (`conversion/llama.py`) and
/// `src/models/eagle3.cpp` loads it.
struct GGUFDraft {
    private let export: DraftExport
    private let configuration: Eagle3Configuration
    private let format: GGUFWriter.Format

    /// llama.cpp's name of a checkpoint's tensor.
    private static let names: [String: String] = [
        "fc.weight": "fc.weight", "input_norm.weight": "enc.output_norm.weight", "norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight", "midlayer.input_layernorm.weight": "blk.0.attn_norm.weight",
        "midlayer.hidden_norm.weight": "blk.0.attn_norm_2.weight",
        "midlayer.self_attn.q_proj.weight": "blk.0.attn_q.weight",
        "midlayer.self_attn.k_proj.weight": "blk.0.attn_k.weight",
        "midlayer.self_attn.v_proj.weight": "blk.0.attn_v.weight",
        "midlayer.self_attn.o_proj.weight": "blk.0.attn_output.weight",
        "midlayer.post_attention_layernorm.weight": "blk.0.ffn_norm.weight",
        "midlayer.mlp.gate_proj.weight": "blk.0.ffn_gate.weight",
        "midlayer.mlp.up_proj.weight": "blk.0.ffn_up.weight",
        "midlayer.mlp.down_proj.weight": "blk.0.ffn_down.weight",
    ]

    /// - Parameter format: Of matrices; vectors are float32.
    /// - Throws: `DraftNotServed` if llama.cpp has no such drafts.
    init(_ export: DraftExport, _ format: GGUFWriter.Format) throws {
        guard let configuration = export.saved.configuration as? Eagle3Configuration else {
            throw DraftNotServed(
                obstacle: "\(export.saved.weights.path) is no EAGLE-3 draft, which alone is written as GGUF")
        }
        let lacking = configuration.lackingOptions(of: .llamaCpp)
        guard lacking.isEmpty else {
            throw DraftNotServed(
                obstacle: "llama.cpp doesn't know \(lacking.joined(separator: ", ")) of \(export.saved.weights.path)")
        }
        (self.export, self.configuration, self.format) = (export, configuration, format)
    }

    /// Writes the file aside and renames it, so that it is there whole or not at all.
    ///
    /// - Parameter progress: Called with the elements that are written.
    func write(to path: String, name: String, progress: (Int) -> Void) throws {
        let aside = path + ".partial"
        try removeFile(aside)
        do {
            try writeAside(aside, name: name, progress)
            try renameFile(aside, to: path)
        } catch {
            try? removeFile(aside)
            throw error
        }
    }

    private func writeAside(_ path: String, name: String, _ progress: (Int) -> Void) throws {
        let factors = try rotaryFactors()
        let isMapped = configuration.shape.draftVocabSize < configuration.vocabSize
        var entries = export.tensors.compactMap { tensor in
            Self.names[tensor.name].map {
                GGUFWriter.Entry(name: $0, format: stored(tensor.shape), shape: tensor.shape)
            }
        }
        precondition(entries.count == export.tensors.count, "a tensor without a name in llama.cpp")
        if factors != nil {
            entries.append(
                .init(name: GGUFFile.rotaryFactors, format: .float32, shape: [configuration.shape.headDim / 2]))
        }
        if isMapped {
            entries.append(.init(name: "d2t", format: .int64, shape: [configuration.shape.draftVocabSize]))
        }
        var writer = try GGUFWriter(path, metadata(name), entries, isNew: true)
        var written = 0
        for tensor in export.tensors {
            try export.withRows(of: tensor.name, order: rowOrder(tensor.name)) { row in
                try writer.append(row)
                written += row.count
                progress(written)
            }
        }
        if let factors { try factors.withUnsafeBufferPointer { try writer.append($0) } }
        if isMapped { try writer.append(stored: export.saved.draftToTarget.map { Int64($0).littleEndian }) }
        try writer.finish()
    }

    private func stored(_ shape: [Int]) -> GGUFWriter.Format {
        guard shape.count > 1 else { return .float32 }
        return format.holds(rowsOf: shape.last ?? 0) ? format : .float16
    }

    /// Queries and keys with the two halves of each head's rotation interleaved: llama.cpp turns neighbours.
    private func rowOrder(_ name: String) -> [Int]? {
        let shape = configuration.shape
        let heads: Int
        switch name {
        case "midlayer.self_attn.q_proj.weight": heads = shape.numAttentionHeads
        case "midlayer.self_attn.k_proj.weight": heads = shape.numKeyValueHeads
        default: return nil
        }
        let half = shape.headDim / 2
        return (0..<heads * shape.headDim).map { row in
            let (head, place) = (row / shape.headDim, row % shape.headDim)
            return head * shape.headDim + place % 2 * half + place / 2
        }
    }

    // MARK: - Metadata

    private func metadata(_ name: String) throws -> GGUFMetadata {
        let shape = configuration.shape
        var metadata = GGUFMetadata()
        metadata.append("general.architecture", "eagle3")
        metadata.append("general.type", "model")
        metadata.append("general.name", name)
        metadata.append("general.file_type", fileType)
        metadata.append("general.quantization_version", UInt32(2))
        let numbers: [(String, Int)] = [
            ("block_count", shape.numHiddenLayers), ("context_length", configuration.rope.maxPositionEmbeddings),
            ("embedding_length", shape.hiddenSize), ("feed_forward_length", shape.intermediateSize),
            ("attention.head_count", shape.numAttentionHeads),
            ("attention.head_count_kv", shape.numKeyValueHeads), ("attention.key_length", shape.headDim),
            ("attention.value_length", shape.headDim), ("rope.dimension_count", shape.headDim),
            ("target_hidden_size", shape.targetHiddenSize), ("vocab_size", configuration.vocabSize),
        ]
        for (key, value) in numbers { metadata.append("eagle3.\(key)", UInt32(value)) }
        metadata.append("eagle3.attention.layer_norm_rms_epsilon", shape.rmsNormEpsilon)
        metadata.append("eagle3.rope.freq_base", Float(configuration.rope.theta))
        try appendScaling(configuration.rope, to: &metadata)
        metadata.append(
            "eagle3.target_layers", AuxiliaryLayers(outputs: configuration.targetLayers).inputs.map(UInt32.init))
        metadata.append("eagle3.norm_before_residual", shape.normBeforeResidual)
        metadata.append("eagle3.norm_before_fc", shape.normBeforeFC)
        try GGUFTokenizer.append(TargetFiles(export.targetPath), export.target, to: &metadata)
        return metadata
    }

    /// llama.cpp's number of what most tensors are stored as.
    private var fileType: UInt32 {
        switch format {
        case .float32, .int64: 0
        case .float16: 1
        case .q8_0: 7
        case .bfloat16: 32
        }
    }

    private func appendScaling(_ rope: RopeConfiguration, to metadata: inout GGUFMetadata) throws {
        switch rope.type {
        case "default", "llama3": return
        case "linear", "yarn":
            metadata.append("eagle3.rope.scaling.type", rope.type)
            metadata.append("eagle3.rope.scaling.factor", Float(try rope.parameter("factor")))
            if rope.type == "yarn" {
                let original =
                    rope.optional("original_max_position_embeddings") ?? Double(rope.maxPositionEmbeddings)
                metadata.append("eagle3.rope.scaling.original_context_length", UInt32(original))
                for (key, name) in [("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")] {
                    if let value = rope.optional(key) { metadata.append("eagle3.rope.scaling.\(name)", Float(value)) }
                }
            }
        default: throw rope.unsupported(["default", "linear", "llama3", "yarn"])
        }
    }

    /// By what the rotation's frequencies are divided: Llama 3.1's scaling, for which llama.cpp has a tensor.
    private func rotaryFactors() throws -> [Float]? {
        let (rope, headDim) = (configuration.rope, configuration.shape.headDim)
        guard rope.type == "llama3" else { return nil }
        let plain = RotaryFrequencies.plain(theta: rope.theta, headDim: headDim)
        return zip(plain, try RotaryScaling(rope, headDim: headDim).fixedFrequencies).map { Float($0 / $1) }
    }
}
