import Shared

/// A draft as a directory that SGLang, vLLM and OpenVINO's exporter load: `config.json` and `model.safetensors`, by
/// SpecForge's names whatever names they had.
struct CheckpointExport {
    private let export: DraftExport
    private let type: TensorType

    /// - Parameter type: Of all weights.
    init(_ export: DraftExport, _ type: TensorType) { (self.export, self.type) = (export, type) }

    /// Writes the directory aside and renames it, so that it is there whole or not at all.
    ///
    /// - Parameter progress: Called with the elements that are written.
    func write(to path: String, progress: (Int) -> Void) throws {
        guard !fileExists(path) else { throw FileError(path, "write the draft to it", reason: "it is there already") }
        let aside = path + ".partial"
        try removeDirectory(aside)
        do {
            try makeDirectory(aside)
            let configuration = export.saved.configuration.json.setting("torch_dtype", .string(typeName))
            try writeFile("\(aside)/config.json", configuration.pretty.utf8)
            try writeWeights("\(aside)/model.safetensors", progress)
            try syncDirectory(aside)
            try renameFile(aside, to: path)
        } catch {
            try? removeDirectory(aside)
            throw error
        }
    }

    private func writeWeights(_ path: String, _ progress: (Int) -> Void) throws {
        let (draftVocabSize, vocabSize) =
            (export.saved.configuration.draftVocabSize, export.saved.configuration.vocabSize)
        var entries = export.tensors.map { SafetensorsWriter.Entry(name: $0.name, type: type, shape: $0.shape) }
        let isMapped = draftVocabSize < vocabSize
        if isMapped {
            entries.append(.init(name: "d2t", type: .int64, shape: [draftVocabSize]))
            entries.append(.init(name: "t2d", type: .bool, shape: [vocabSize]))
        }
        var writer = try SafetensorsWriter(path, entries)
        var written = 0
        for tensor in export.tensors {
            try export.withRows(of: tensor.name) { row in
                try writer.append(row)
                written += row.count
                progress(written)
            }
        }
        if isMapped {
            let ids = export.saved.draftToTarget
            try writer.append(ids.enumerated().map { Int64($1) - Int64($0) })
            var marks = [UInt8](repeating: 0, count: vocabSize)
            for id in ids { marks[Int(id)] = 1 }
            try writer.append(marks)
        }
        try writer.finish()
    }

    private var typeName: String {
        switch type {
        case .float16: "float16"
        case .bfloat16: "bfloat16"
        default: "float32"
        }
    }
}
