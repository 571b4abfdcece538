import Shared
import TestSupport
import Testing

@testable import Trainer

/// The example family against transformers, registered beside the others.
struct ArceeTests {
    @Test func hiddenStatesEqualTransformers() throws {
        let folder = Fixtures.folder.appending(path: "examples/arcee").path
        let expected = try SafetensorsFile("\(folder)/expected.safetensors")
        let ids = try expected.tensor("input_ids").integers().map { Int32($0) }
        let states = try expected.tensor("hidden_states").floats()
        let registered = TargetModelRegistry.architectures.merging(["ArceeForCausalLM": Arcee.describe]) { $1 }
        let target = try TargetModelRegistry.load(
            folder, communicator: AbsentRanks(), positions: ids.count, Compute(), architectures: registered)
        let workspace = Workspace(Compute())
        let x = workspace.matrix(rows: ids.count, columns: target.configuration.hiddenSize)
        let batch = Batch([Sample(inputIDs: ids, lossMask: ids.map { _ in true })])
        target.embed(ids, into: x)
        target.forward(x, DecoderRows(batch), in: workspace) { _, _ in }
        let last = states.suffix(x.count)
        let scale = last.reduce(0) { max($0, abs($1)) }
        let worst = zip(UnsafeBufferPointer(start: x.start, count: x.count), last).reduce(Float(0)) {
            max($0, abs($1.0 - $1.1))
        }
        #expect(worst < 1e-4 * scale)
    }

    @Test func withoutItsLineTheFamilyIsRefused() throws {
        let folder = Fixtures.folder.appending(path: "examples/arcee").path
        #expect(throws: JSONError.self) {
            try TargetModelRegistry.load(folder, communicator: AbsentRanks(), positions: 8, Compute())
        }
    }
}
