import Shared
import Testing

@testable import Trainer

/// What long sequences make anew on the way back is what shorter ones keep, bit by bit.
struct RecomputationTests {
    @Test(arguments: [DraftVariant.plain, .everything])
    func gradientsAreTheSameHoweverManyRowsAreKept(variant: DraftVariant) throws {
        let run = try GoldenRun("llama")
        let trainer = try run.trainer(AbsentRanks(), variant: variant)
        var draft = try #require(trainer.draft as? Eagle3DraftModel)
        let plan = TrainingTimeTestPlan(
            Batch(run.samples), tttLength: trainer.tttLength, alignment: trainer.alignment)
        // None, those of two steps, all.
        let results = [0, 2 * plan.activeRows.count, 1 << 20].map { rows in
            draft.keptGateUpRows = rows
            draft.parameters.zeroGradients()
            let workspace = Workspace()
            _ = OnlineEagle3(
                target: trainer.target, draft: draft, teacher: trainer.teacher,
                auxiliaryLayers: trainer.auxiliaryLayers, tttLength: trainer.tttLength, alignment: trainer.alignment
            ).run(
                [run.samples], weights: LossWeights(decay: 0.8, sequences: run.samples.map { _ in 0.1 }),
                in: workspace)
            return (gradients: Array(draft.parameters.gradients), floats: workspace.highWater)
        }
        #expect(results[0].gradients.contains { $0 != 0 })
        for result in results.dropFirst() { #expect(result.gradients == results[0].gradients) }
        #expect(results[0].floats < results[1].floats && results[1].floats < results[2].floats)
    }
}
