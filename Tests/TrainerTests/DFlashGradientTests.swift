import Glibc
import Shared
import Testing

@testable import Trainer

/// A draft of blocks against central differences, and against its own decoder.
struct DFlashGradientTests {
    /// Forms of draft and of loss that the parts of the backward pass depend on.
    struct Form: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var loss = BlockLoss(weights: PositionWeights(kind: .decay, gamma: 3))
        var anchorFirst = false
        var spans = [BlockShape.Span(), BlockShape.Span()]
        var mask = BlockPlan.LabelMask.prefix
        var anchors = BlockTraining.Anchors.drawn(3)
        var markovRank = 0
        var confidence: BlockShape.Confidence?
        var blockSize = 4

        var shape: BlockShape {
            BlockShape(
                hiddenSize: 20, intermediateSize: 24, numHiddenLayers: spans.count, numAttentionHeads: 4,
                numKeyValueHeads: 2, headDim: 6, rmsNormEpsilon: 1e-5, featureCount: 2, vocabSize: 40,
                draftVocabSize: 30, blockSize: blockSize, anchorFirst: anchorFirst, maskToken: 39, spans: spans,
                markovRank: markovRank, confidence: confidence)
        }
    }

    static let forms = [
        Form(testDescription: "cross-entropy"),
        Form(
            testDescription: "KL and total variation, from the anchor",
            loss: BlockLoss(ce: 0, kl: 0.7, tv: 0.4, weights: PositionWeights(kind: .decay)), anchorFirst: true),
        Form(
            testDescription: "the text's tokens, each row",
            loss: BlockLoss(ce: 0.5, tv: 0.5, label: .tokens, weights: PositionWeights(kind: .decay)), mask: .each),
        // With an alpha of one no weight depends on the draft.
        Form(testDescription: "D-PACE", loss: BlockLoss(weights: PositionWeights(kind: .dpace, alpha: 1))),
        Form(
            testDescription: "a causal window, one causal layer and a plain one",
            spans: [
                BlockShape.Span(window: 3, isCausal: true), BlockShape.Span(isCausal: true), BlockShape.Span(window: 2),
            ]),
        Form(testDescription: "an anchor without context", anchors: .given([1: [0, 4, 5], 2: [0]])),
        Form(testDescription: "a Markov head", anchorFirst: true, markovRank: 5),
        Form(testDescription: "a Markov and a confidence head", markovRank: 18, confidence: .hiddenAndToken),
        Form(
            testDescription: "a confidence head that sees no token", anchorFirst: true, markovRank: 3,
            confidence: .hidden),
        Form(testDescription: "a confidence head alone", confidence: .hidden),
    ]

    private let workspace = Workspace()

    private func model(_ form: Form) -> (draft: DFlashDraftModel, target: FixedTarget, teacher: CompactTeacher) {
        let target = FixedTarget(vocabSize: 40, hiddenSize: 20, in: workspace)
        let draftToTarget = (0..<30).map { Int32($0 + $0 / 3) }
        let frequencies = (0..<3).map { 1 / Double($0 + 1) }
        let draft = DFlashDraftModel(
            form.shape, BlockTraining(loss: form.loss, mask: form.mask, anchors: form.anchors),
            rotary: RotaryEmbedding(frequencies: frequencies, positions: 40), .test)
        draft.parameters.fillRandomly(scale: 0.25)
        draft.takeTargetWeights(target, draftToTarget: draftToTarget)
        return (draft, target, CompactTeacher(target, draftToTarget: draftToTarget))
    }

    private func sequences() -> [TrainingSequence] {
        var random = RandomNumbers(seed: 3)
        return [13, 9].enumerated().map { index, length in
            TrainingSequence(
                sample: Sample(
                    inputIDs: (0..<length).map { _ in Int32(random.below(38)) },
                    lossMask: (0..<length).map { $0 != 8 && $0 != 1 }), seed: UInt64(index + 1))
        }
    }

    private func lesson(
        _ sequences: [TrainingSequence], _ draft: DFlashDraftModel, _ target: FixedTarget, _ teacher: CompactTeacher
    ) -> Lesson {
        var random = RandomNumbers(seed: 11)
        let rows = sequences.reduce(0) { $0 + $1.length }
        let features = workspace.matrix(rows: rows, columns: 40)
        let hidden = workspace.matrix(rows: rows, columns: 20)
        let embedding = workspace.matrix(rows: rows + sequences.count, columns: 20)
        random.fill(features)
        random.fill(hidden)
        target.embed(sequences.flatMap { $0.sample.inputIDs + draft.appendedTokens }, into: embedding)
        return Lesson(
            teacher: teacher, sequences: [sequences], features: features, embedding: embedding, targetHidden: hidden)
    }

    @Test(arguments: forms, [0, 2] as [Float])
    func everyGradientIsTheDerivativeOfTheLoss(form: Form, features: Float) throws {
        let (draft, target, teacher) = model(form)
        let sequences = sequences()
        let lesson = lesson(sequences, draft, target, teacher)
        let weights = LossWeights(sequences: [0.25, 0.5], features: features)
        let statistics = draft.learn(lesson, weights: weights, in: workspace)
        #expect(statistics.learnt > 4)
        let rows = [0..<sequences[0].length, sequences[0].length..<sequences[0].length + sequences[1].length]
        // What is accepted, which confidence learns without a gradient through it.
        var accepted: [Float?] = []
        func loss() throws -> Double {
            // Sequences with weights of their own: the same rows, weighed here.
            workspace.scope {
                let plan = draft.training.plan(sequences, draft.shape)
                let record = draft.forward(lesson, plan, in: workspace)
                let measured = draft.head.measure(draft.lessons(record, [plan], lesson), in: workspace)
                if accepted.isEmpty { accepted = measured.map { $0.map { 1 - $0.row.tv } } }
                return plan.labels.all.indices.reduce(0.0) { sum, i in
                    guard var row = measured[i]?.row else { return sum }
                    if form.confidence != nil, let accepted = accepted[i] {
                        let sigma = row.confidenceGradient + 1 - row.tv
                        row.bce += (1 - row.tv - accepted) * logf(sigma / (1 - sigma))
                    }
                    let label = plan.labels.all[i]
                    let weight = Double(weights.sequences[label.sequence] * (measured[i]?.weight ?? 0))
                    guard features > 0, let target = label.targetRow else {
                        return sum + weight * Double(form.loss.value(row))
                    }
                    let y = workspace.matrix(rows: 1, columns: 20)
                    draft.head.head.norm.forward(record.hidden[rows: label.row..<label.row + 1], into: y)
                    let cosine = FeatureAlignmentTests.cosine(
                        y, row: 0, lesson.targetHidden, targetRow: target, sequence: rows[label.sequence])
                    return sum + weight * (Double(form.loss.value(row)) + Double(features) * (1 - cosine))
                }
            }
        }
        _ = try loss()
        let checked = draft.parameters.parameters.filter { !$0.isFrozen }.map { parameter in
            let gradient = workspace.matrix(rows: parameter.gradient.rows, columns: parameter.gradient.columns)
            gradient.copy(from: parameter.gradient)
            return (parameter.parts[0].name, parameter.weight, gradient)
        }
        // Total variation has a kink wherever the draft gives a token what the target gives it.
        let hasKinks = form.loss.tv > 0
        try expectGradients(
            checked, step: hasKinks ? 3e-3 : 1e-2, tolerance: hasKinks ? 8e-2 : 1e-2, loss: loss)
    }

    @Test(arguments: forms)
    func everyBlockOfTrainingIsWhatTheDecoderMakesOfTheSameTokens(form: Form) throws {
        let (draft, target, teacher) = model(form)
        let sequences = sequences()
        let lesson = lesson(sequences, draft, target, teacher)
        let plan = draft.training.plan(sequences, draft.shape)
        let record = draft.forward(lesson, plan, in: workspace)
        let decoder = try #require(
            draft.makeDecoder(draftToTarget: [], capacity: 32, workspace: workspace, embed: target.embed)
                as? DFlashDecoder)
        for (part, sequence) in zip(plan.sequences, sequences) {
            for block in part.blocks where plan.anchors[block] > 0 {
                let anchor = plan.anchors[block]
                let features = lesson.features[rows: part.tokens]
                let next = Array(sequence.sample.inputIDs[1...anchor])
                decoder.restart()
                // As after a prompt, and as after tokens that were verified one by one.
                decoder.advance(features: features[rows: 0..<1], next: Array(next[..<1]))
                if anchor > 1 { decoder.advance(features: features[rows: 1..<anchor], next: Array(next[1...])) }
                let rows = block * draft.shape.blockSize..<(block + 1) * draft.shape.blockSize
                expectClose(
                    decoder.block(drafting: draft.longestDraft, in: workspace).elements,
                    record.hidden[rows: rows].elements, tolerance: 1e-5,
                    "block at \(anchor)")
            }
        }
    }
    /// Engines run no more rows than they draft tokens from.
    @Test(arguments: forms)
    func draftingFewerTokensIsDraftingAllOfAShorterBlock(form: Form) throws {
        for count in 1..<form.shape.draftedTokens {
            var shorter = form
            shorter.blockSize = form.shape.firstDraftingRow + count
            let drafted = try [form, shorter].map { form in
                let (draft, target, teacher) = model(form)
                let sequences = sequences()
                let lesson = lesson(sequences, draft, target, teacher)
                let decoder = draft.makeDecoder(
                    draftToTarget: (0..<30).map { $0 }, capacity: 32, workspace: workspace, embed: target.embed)
                decoder.advance(
                    features: lesson.features[rows: 0..<6], next: Array(sequences[0].sample.inputIDs[1...6]))
                let hidden = try #require(decoder as? DFlashDecoder).block(drafting: count, in: workspace).elements
                return (tokens: decoder.draft(count), hidden: hidden)
            }
            #expect(drafted[0].tokens == drafted[1].tokens && drafted[0].tokens.count == count)
            expectClose(drafted[0].hidden, drafted[1].hidden, tolerance: 0, "\(count) tokens")
        }
    }
}
