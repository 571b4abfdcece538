import Shared
import TestSupport

@testable import Trainer

/// Saves a draft as the first step of a run, in a directory that is removed afterwards.
///
/// - Parameter body: Gets the directory, in which `step_1` and `latest` are the checkpoint.
func withSavedDraft(
    _ configuration: any DraftConfiguration, _ parameters: ParameterStore, _ mapping: VocabularyMapping,
    type: TensorType = .bfloat16, _ body: (_ directory: String) throws -> Void
) throws {
    try withTemporaryDirectory { directory in
        try Checkpoints(directory: directory, type: type).save(
            Checkpoints.Contents(
                configuration: configuration, parameters: parameters,
                optimizer: ShardedOptimizer(parameters, AdamW.Settings(), AbsentRanks()), mapping: mapping,
                state: CheckpointState(step: 1, epoch: 0, updates: 1, settings: [:], provenance: [:])),
            name: "step_1", isBest: false, world: AbsentRanks())
        try body(directory)
    }
}
