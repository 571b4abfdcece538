import Shared
import Testing

@testable import Trainer

/// Training and inference prove each other: row t of step k is what the decoder with its cache makes of the same tokens.
struct TrainingTimeTestOracleTests {
    @Test(arguments: [1, 2])
    func everyRowEqualsTheIncrementalDecoders(tpSize: Int) throws {
        let run = try GoldenRun("llama")
        let ids = run.samples[0].inputIDs
        let (length, tttLength) = (ids.count, 5)
        let sample = Sample(inputIDs: ids, lossMask: ids.map { _ in true })
        _ = try ThreadCommunicator.run(tpSize) { communicator in
            let workspace = Workspace()
            let trainer = try run.trainer(communicator)
            let plan = TrainingTimeTestPlan(Batch([sample]), tttLength: tttLength, alignment: .label)
            let target = try #require(trainer.target as? DecoderTargetModel)
            let decoder = TargetDecoder(
                target, auxiliaryLayers: trainer.auxiliaryLayers, capacity: length, workspace: workspace)
            let auxiliary = try decoder.run(ids).auxiliary
            let extended = TrainingTimeTestPlan.extendedIDs(Batch([sample]))
            let embedding = workspace.matrix(rows: extended.count, columns: target.configuration.hiddenSize)
            try target.embed(extended, into: embedding)
            let model = try #require(trainer.draft as? Eagle3DraftModel)
            let record = model.forward(
                DraftFeatures(auxiliary: auxiliary, embedding: embedding), plan, in: workspace)

            let draft = DraftDecoder(
                model, draftToTarget: [], capacity: length + tttLength, workspace: workspace,
                embed: target.embed)
            for (row, t) in plan.activeRows.enumerated() where Int(t) + tttLength < length {
                // The verified tokens up to t, then the true tokens behind it in place of drafted ones.
                draft.restart()
                let t = Int(t)
                try draft.advance(features: auxiliary[rows: 0..<t + 1], next: Array(ids[1...t + 1]))
                for k in 0..<tttLength {
                    if k > 0 { try draft.continueDraft(with: ids[t + 1 + k]) }
                    expectClose(
                        draft.newestHidden, record.steps[k].hidden[rows: row..<row + 1].elements, tolerance: 1e-5,
                        "row \(t) of step \(k)")
                }
            }
        }
    }
}
