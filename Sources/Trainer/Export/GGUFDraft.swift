import Shared

/// A draft as a GGUF file, which llama.cpp reads.
struct GGUFDraft {
    private let export: DraftExport
    private let form: GGUFDraftForm
    private let format: GGUFWriter.Format

    /// - Parameter format: Of matrices; vectors are float32.
    /// - Throws: `DraftNotServed` if llama.cpp has no such drafts.
    init(_ export: DraftExport, _ format: GGUFWriter.Format) throws {
        let configuration = export.saved.configuration
        guard let form = try configuration.ggufForm() else {
            throw DraftNotServed(
                obstacle: "\(export.saved.weights.path) is a draft of an architecture that isn't written as GGUF")
        }
        let lacking = configuration.lackingOptions(of: .llamaCpp)
        guard lacking.isEmpty else {
            throw DraftNotServed(
                obstacle: "llama.cpp doesn't know \(lacking.joined(separator: ", ")) of \(export.saved.weights.path)")
        }
        (self.export, self.form, self.format) = (export, form, format)
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
        let configuration = export.saved.configuration
        let isMapped = configuration.draftVocabSize < configuration.vocabSize
        var entries = export.tensors.compactMap { tensor in
            form.names[tensor.name].map {
                GGUFWriter.Entry(name: $0, format: stored(tensor.shape), shape: tensor.shape)
            }
        }
        precondition(entries.count == export.tensors.count, "a tensor without a name in llama.cpp")
        entries += form.constants.map { .init(name: $0.name, format: .float32, shape: [$0.values.count]) }
        if isMapped { entries.append(.init(name: "d2t", format: .int64, shape: [configuration.draftVocabSize])) }
        var writer = try GGUFWriter(path, metadata(name), entries, isNew: true)
        var written = 0
        for tensor in export.tensors {
            try export.withRows(of: tensor.name, order: form.rowOrder(tensor.name)) { row in
                try writer.append(row)
                written += row.count
                progress(written)
            }
        }
        for constant in form.constants { try constant.values.withUnsafeBufferPointer { try writer.append($0) } }
        if isMapped { try writer.append(stored: export.saved.draftToTarget.map { Int64($0).littleEndian }) }
        try writer.finish()
    }

    private func stored(_ shape: [Int]) -> GGUFWriter.Format {
        guard shape.count > 1 else { return .float32 }
        return format.holds(rowsOf: shape.last ?? 0) ? format : .float16
    }

    private func metadata(_ name: String) throws -> GGUFMetadata {
        var metadata = GGUFMetadata()
        metadata.append("general.architecture", form.architecture)
        metadata.append("general.type", "model")
        metadata.append("general.name", name)
        metadata.append("general.file_type", fileType)
        metadata.append("general.quantization_version", UInt32(2))
        metadata.append(contentsOf: form.metadata)
        try GGUFTokenizer.append(
            TargetFiles(export.targetPath), export.target, maskToken: form.maskToken, to: &metadata)
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
}
