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
        let ids = try tensor.integers().enumerated().map { Int32(truncatingIfNeeded: $0 + $1) }
        let isAscending = zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 }
        guard isAscending, ids.allSatisfy({ 0..<Int32(vocabSize) ~= $0 }) else {
            throw tensor.error("doesn't name ascending ids below vocab_size, \(vocabSize)")
        }
        return ids
    }
}
