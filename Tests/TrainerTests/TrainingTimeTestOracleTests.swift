import Shared
import Testing

@testable import Trainer

/// Training and inference prove each other: row t of step k is what the decoder with its cache makes of the same tokens.
struct TrainingTimeTestOracleTests {
    @Test(arguments: Compute.Way.everywhere, [1, 2])
    func everyRowEqualsTheIncrementalDecoders(way: Compute.Way, tpSize: Int) throws {
        for variant in DraftVariant.allCases {
            try expectRowsEqualTheDecoders(way.compute, tpSize: tpSize, variant: variant, tolerance: 2e-5)
        }
    }

    /// A sum in another order may round to the next number, which is 2⁻⁸ away.
    @Test(.needsBFloat16, arguments: [1, 2])
    func everyRowEqualsTheIncrementalDecodersInBFloat16(tpSize: Int) throws {
        for variant in DraftVariant.allCases {
            try expectRowsEqualTheDecoders(
                Compute.Way.bfloat16.compute, tpSize: tpSize, variant: variant, tolerance: 2e-2)
        }
    }
}

private func expectRowsEqualTheDecoders(
    _ compute: Compute, tpSize: Int, variant: DraftVariant, tolerance: Float
) throws {
    let run = try GoldenRun("llama")
    let ids = run.samples[0].inputIDs
    let (length, tttLength) = (ids.count, 5)
    let sample = Sample(inputIDs: ids, lossMask: ids.map { _ in true })
    _ = try ThreadCommunicator.run(tpSize) { communicator in
        let workspace = Workspace(compute)
        let trainer = try run.trainer(communicator, variant: variant, compute)
        let target = try #require(trainer.target as? DecoderTargetModel)
        let decoder = TargetDecoder(
            target, targetLayers: trainer.targetLayers, capacity: length, workspace: workspace)
        let auxiliary = decoder.run(ids).auxiliary
        let extended = ids + TrainingTimeTestPlan.padding
        let embedding = workspace.matrix(rows: extended.count, columns: target.configuration.hiddenSize)
        target.embed(extended, into: embedding)
        let model = try #require(trainer.draft as? Eagle3DraftModel).with(
            Eagle3Training(tttLength: tttLength, alignment: .label))
        model.parameters.round()
        let lesson = Lesson(
            teacher: trainer.teacher, sequences: [[TrainingSequence(sample: sample)]], features: auxiliary,
            embedding: embedding, targetHidden: auxiliary)
        let plan = model.training.plan(lesson.sequences[0])
        let record = model.forward(lesson, plan, in: workspace)

        let draft = Eagle3Decoder(
            model, draftToTarget: [], capacity: length + tttLength, workspace: workspace, embed: target.embed)
        for (row, t) in plan.activeRows.enumerated() where Int(t) + tttLength < length {
            // The verified tokens up to t, then the true tokens after it in place of drafted ones.
            draft.restart()
            let t = Int(t)
            draft.advance(features: auxiliary[rows: 0..<t + 1], next: Array(ids[1...t + 1]))
            for k in 0..<tttLength {
                if k > 0 { draft.continueDraft(with: ids[t + 1 + k]) }
                expectClose(
                    draft.newestHidden, record.hidden[k][rows: row..<row + 1].elements, tolerance: tolerance,
                    "row \(t) of step \(k), \(variant)")
            }
        }
    }
}
