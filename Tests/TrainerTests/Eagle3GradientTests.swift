import Shared
import Testing

@testable import Trainer

/// The whole draft's backward pass against central differences.
struct Eagle3GradientTests {
    private let shape = Eagle3DraftModel.Shape(
        hiddenSize: 20, targetHiddenSize: 12, intermediateSize: 24, numAttentionHeads: 4, numKeyValueHeads: 2,
        headDim: 6, draftVocabSize: 30, rmsNormEpsilon: 1e-5)

    // λ is held where it is in the derivative, so it must not move with the weights here.
    @Test(
        arguments: [TrainingTimeTestPlan.LossMaskAlignment.label, .eagle],
        [DraftObjective.crossEntropy, .alpha, .lambda(scale: 0.4, decay: 0)])
    func everyGradientIsTheDerivativeOfTheLoss(
        alignment: TrainingTimeTestPlan.LossMaskAlignment, objective: DraftObjective
    ) throws {
        try check(shape, alignment, objective)
    }

    @Test(arguments: DraftVariant.allCases)
    func soItIsOfEveryDraft(variant: DraftVariant) throws {
        try check(variant.applied(to: shape), .label, .crossEntropy)
    }

    @Test(arguments: [TrainingTimeTestPlan.LossMaskAlignment.label, .eagle])
    func soItIsBesideTheTargetsHiddenState(alignment: TrainingTimeTestPlan.LossMaskAlignment) throws {
        try check(shape, alignment, .crossEntropy, features: 2)
    }

    /// - Parameter features: What the target's hidden state counts.
    private func check(
        _ shape: Eagle3DraftModel.Shape, _ alignment: TrainingTimeTestPlan.LossMaskAlignment,
        _ objective: DraftObjective, features: Float = 0
    ) throws {
        let workspace = Workspace()
        var random = RandomNumbers(seed: 3)
        let samples = [11, 7].map { length in
            Sample(
                inputIDs: (0..<length).map { _ in Int32(random.below(40)) },
                lossMask: (0..<length).map { $0 > 3 && $0 != 6 })
        }
        let batch = Batch(samples)
        let training = Eagle3Training(tttLength: 4, alignment: alignment)
        let target = FixedTarget(vocabSize: 40, hiddenSize: 20, in: workspace)
        let teacher = CompactTeacher(target, draftToTarget: (0..<30).map { Int32($0 + $0 / 3) })
        let frequencies = (0..<3).map { 1 / Double($0 + 1) }
        let draft = Eagle3DraftModel(
            shape, training, rotary: RotaryEmbedding(frequencies: frequencies, positions: 20), objective: objective)
        draft.parameters.fillRandomly(scale: 0.25)
        let auxiliary = workspace.matrix(rows: batch.rows, columns: 36)
        let hidden = workspace.matrix(rows: batch.rows, columns: 20)
        let embedding = workspace.matrix(rows: batch.rows + 2, columns: 20)
        random.fill(auxiliary)
        random.fill(hidden)
        target.embed(samples.flatMap { $0.inputIDs + draft.appendedTokens }, into: embedding)
        let weights = LossWeights(
            sequences: [0.25, 0.5], acceptanceRows: alignment == .eagle ? [11, 7] : nil, features: features)

        func lesson(_ samples: [Sample]) -> Lesson {
            Lesson(
                teacher: teacher, sequences: [samples.map { TrainingSequence(sample: $0) }], features: auxiliary,
                embedding: embedding, targetHidden: hidden)
        }

        let first = draft.learn(lesson(samples), weights: weights, in: workspace).positions[0]
        #expect(first.learnt > 3 && first.learnt < first.labels)

        // The loss with weights of its own for each sequence, by one sequence at a time being left out of the mask.
        func loss() throws -> Double {
            var total = 0.0
            for sequence in 0..<2 {
                let masked = samples.enumerated().map { index, sample in
                    Sample(
                        inputIDs: sample.inputIDs,
                        lossMask: index == sequence ? sample.lossMask : sample.lossMask.map { _ in false })
                }
                workspace.scope {
                    let (lesson, plan) = (lesson(masked), training.plan(masked.map { TrainingSequence(sample: $0) }))
                    let record = draft.forward(lesson, plan, in: workspace)
                    let (statistics, _) = draft.head.learn(
                        record.hidden, [plan.draftLabels], lesson, weights: weights, in: workspace)
                    for (k, position) in statistics.positions.enumerated() {
                        var weight = Double(weights.sequences[sequence])
                        for _ in 0..<k { weight *= 0.8 }
                        total += weight * position.objective
                        total += weight * Double(features) * (position.aligned - position.cosine)
                    }
                }
            }
            return total
        }
        // The loss is that of a step, which adds to the gradients, so what they are now is kept.
        let checked = draft.parameters.parameters.map { parameter in
            let gradient = workspace.matrix(rows: parameter.gradient.rows, columns: parameter.gradient.columns)
            gradient.copy(from: parameter.gradient)
            return (parameter.parts[0].name, parameter.weight, gradient)
        }
        // α has a kink wherever the draft gives a token what the target gives it, and differences straddle some.
        let hasKinks = objective != .crossEntropy
        try expectGradients(
            checked, step: hasKinks ? 3e-3 : 1e-2, tolerance: hasKinks ? 8e-2 : 1e-2, loss: loss)
    }
}
