import Shared
import Testing

@testable import Trainer

/// Tokens after the last supervised one cost nothing and change nothing.
struct NeededTokensTests {
    private static let alignments = TrainingTimeTestPlan.LossMaskAlignment.allCases

    /// The gradients of a sample and the elements that activations took.
    private func learn(
        _ sample: Sample, _ alignment: TrainingTimeTestPlan.LossMaskAlignment
    ) throws -> (gradients: [Float], elements: Int) {
        let run = try GoldenRun("llama")
        let workspace = Workspace(Compute())
        let golden = try run.trainer(AbsentRanks(), workspace.compute)
        let eagle = try #require(golden.draft as? Eagle3DraftModel)
        var training = eagle.training
        training.alignment = alignment
        let trainer = OnlineDraft(
            target: golden.target, draft: eagle.with(training), teacher: golden.teacher,
            targetLayers: golden.targetLayers)
        _ = trainer.run(
            [[TrainingSequence(sample: sample)]], weights: LossWeights(sequences: [0.01]), in: workspace)
        return (trainer.draft.parameters.parameters.flatMap(\.gradient.elements), workspace.highWater)
    }

    @Test(arguments: alignments)
    func tokensAfterTheLastSupervisedOneAreNotComputed(
        alignment: TrainingTimeTestPlan.LossMaskAlignment
    ) throws {
        let ids = (0..<70).map { Int32(($0 * 37 + 11) % 90) }
        let mask = (0..<70).map { (12..<31).contains($0) }
        // 30 is the last; EAGLE's alignment learns the distribution after it.
        let count = alignment == .eagle ? 32 : 31
        let short = try learn(
            Sample(inputIDs: Array(ids.prefix(count)), lossMask: Array(mask.prefix(count))), alignment)
        let long = try learn(Sample(inputIDs: ids, lossMask: mask), alignment)
        #expect(short.gradients.contains { $0 != 0 })
        #expect(long.gradients == short.gradients && long.elements == short.elements)
    }

    @Test(arguments: alignments)
    func everyLabelHasItsRows(alignment: TrainingTimeTestPlan.LossMaskAlignment) {
        let training = Eagle3Training(tttLength: 3, alignment: alignment)
        var random = RandomNumbers(seed: 4)
        for length in 1...40 {
            let sample = Sample(
                inputIDs: (0..<length).map { Int32($0) }, lossMask: (0..<length).map { _ in random.below(4) == 0 })
            let count = training.neededTokens(sample)
            #expect((1...length).contains(count))
            let short = Sample(
                inputIDs: Array(sample.inputIDs.prefix(count)), lossMask: Array(sample.lossMask.prefix(count)))
            let (whole, needed) = (
                training.plan([TrainingSequence(sample: sample)]), training.plan([TrainingSequence(sample: short)])
            )
            #expect(whole.labels.map(\.targetRow) == needed.labels.map(\.targetRow))
            #expect(whole.activeRows == needed.activeRows && whole.labelCounts == needed.labelCounts)
        }
    }
}
