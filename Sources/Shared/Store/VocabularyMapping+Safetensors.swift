/// A mapping as the tensors that checkpoints have: `d2t` and `t2d`.
extension VocabularyMapping {
    public func write(safetensors path: String) throws(FileError) {
        var writer = try SafetensorsWriter(
            path,
            [
                .init(name: "d2t", type: .int64, shape: [draftVocabSize]),
                .init(name: "t2d", type: .bool, shape: [vocabSize]),
            ])
        try writer.append(draftToTargetOffsets.map(\.littleEndian))
        try writer.append(targetHasDraft.map { UInt8($0 ? 1 : 0) })
        try writer.finish()
    }
}
