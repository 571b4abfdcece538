import Shared
import Testing

@testable import Trainer

/// What long sequences recompute in the backward pass is what shorter ones keep, bit by bit.
struct RecomputationTests {
    @Test(arguments: [DraftVariant.plain, .everything])
    func gradientsAreTheSameHoweverManyRowsAreKept(variant: DraftVariant) throws {
        let run = try GoldenRun("llama")
        let trainer = try run.trainer(AbsentRanks(), variant: variant)
        var draft = try #require(trainer.draft as? Eagle3DraftModel)
        let plan = draft.training.plan(run.samples.map { TrainingSequence(sample: $0) })
        // None, those of two steps, all.
        let results = [0, 2 * plan.activeRows.count, 1 << 20].map { rows in
            draft.keptGateUpRows = rows
            draft.parameters.zeroGradients()
            let workspace = Workspace()
            _ = OnlineDraft(
                target: trainer.target, draft: draft, teacher: trainer.teacher, targetLayers: trainer.targetLayers
            ).run(
                [run.samples], weights: LossWeights(sequences: run.samples.map { _ in 0.1 }),
                in: workspace)
            return (gradients: Array(draft.parameters.gradients), floats: workspace.highWater)
        }
        #expect(results[0].gradients.contains { $0 != 0 })
        for result in results.dropFirst() { #expect(result.gradients == results[0].gradients) }
        #expect(results[0].floats < results[1].floats && results[1].floats < results[2].floats)
    }
}
