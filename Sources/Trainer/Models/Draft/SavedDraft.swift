import Shared

/// A draft in a directory: a checkpoint of Eyrie's, or what another trainer wrote by the same names.
struct SavedDraft {
    let configuration: Eagle3Configuration
    let weights: SafetensorsFile
    /// The target's id of each draft id, ascending: [draftVocabSize].
    let draftToTarget: [Int32]

    static func configurationPath(_ directory: String) -> String { "\(directory)/config.json" }

    /// - Throws: `JSONError` or `WeightsError` for files that are missing or don't fit the target.
    init(_ directory: String, target: ModelConfiguration) throws {
        configuration = try Eagle3Configuration(JSONFile(Self.configurationPath(directory)), target: target)
        weights = try SafetensorsFile("\(directory)/model.safetensors")
        draftToTarget = try configuration.draftToTarget(weights)
    }
}

extension Eagle3Configuration {
    /// The target's id of each draft id, by a checkpoint's `d2t`, which is checked; a draft of the whole vocabulary has
    /// none.
    func draftToTarget(_ file: SafetensorsFile) throws(WeightsError) -> [Int32] {
        if shape.draftVocabSize == vocabSize, file.tensors["d2t"] == nil { return (0..<Int32(vocabSize)).map { $0 } }
        let tensor = try file.tensor("d2t")
        try tensor.expect([shape.draftVocabSize])
        var ids: [Int32] = []
        for (draftID, offset) in try tensor.integers().enumerated() {
            let (id, isTooLarge) = draftID.addingReportingOverflow(offset)
            guard !isTooLarge, 0..<vocabSize ~= id, id > ids.last.map(Int.init) ?? -1 else {
                throw tensor.error(
                    "has \(offset) at index \(draftID), should lead to ascending ids below vocab_size, \(vocabSize)")
            }
            ids.append(Int32(id))
        }
        return ids
    }
}
