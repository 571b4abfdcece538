import Shared

/// A draft in a directory: a checkpoint of Eyrie's, or what another trainer wrote by the same names.
struct SavedDraft {
    let configuration: any DraftConfiguration
    let weights: SafetensorsFile
    /// The target's id of each draft id, ascending: [draftVocabSize].
    let draftToTarget: [Int32]

    static func configurationPath(_ directory: String) -> String { "\(directory)/config.json" }

    /// - Throws: `JSONError` or `WeightsError` for files that are missing or don't fit the target.
    init(_ directory: String, target: ModelConfiguration, _ registry: DraftRegistry = .standard) throws {
        configuration = try registry.configuration(JSONFile(Self.configurationPath(directory)), target: target)
        weights = try SafetensorsFile("\(directory)/model.safetensors")
        draftToTarget = try configuration.draftToTarget(weights)
    }
}
