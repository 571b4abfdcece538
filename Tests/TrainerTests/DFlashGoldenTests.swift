import Shared
import Testing

@testable import Trainer

/// Whole training runs of speculators 0.9.0 and DeepSpec, step by step, and drafting by z-lab's DFlash and DeepSpec: DFlash
/// and DSpark.
struct DFlashGoldenTests {
    @Test func thereAreGoldens() { #expect(!BlockGolden.cases.isEmpty) }

    @Test(arguments: BlockGolden.cases, [Compute.Way.float32, .eightThreads])
    func lossesGradientsAndParametersEqualTheReferences(name: String, way: Compute.Way) throws {
        let golden = try BlockGolden(name)
        let (model, draft) = try golden.model(AbsentRanks(), golden.training, way.compute)
        let (workspace, expected) = (Workspace(way.compute), golden.expected)
        let optimizer = ShardedOptimizer(draft.parameters, AdamW.Settings(), AbsentRanks())
        let schedule = LearningRateSchedule(
            peak: Float(expected.learningRate), warmupRatio: 0.2, totalSteps: expected.totalSteps)
        for (index, sequence) in golden.sequences.enumerated() {
            let micro = expected.microBatches[index]
            try compareSums(model, draft, sequence, micro, "micro batch \(index)", in: workspace)
            let weight = Float(1 / draft.labelCount(sequence)) / Float(expected.accumulation)
            let statistics = model.run([[sequence]], weights: LossWeights(sequences: [weight]), in: workspace)
            expectClose(
                [Float(draft.loss(statistics))], [Float(micro.loss)], tolerance: 1e-5, "loss of micro batch \(index)")
            if index == 0 { try compare(draft.parameters, golden, "grads_0", Float(expected.accumulation)) }
            guard (index + 1).isMultiple(of: expected.accumulation) else { continue }
            let step = index / expected.accumulation
            let norm = optimizer.gradientNorm()
            let wanted = expected.optimizerSteps[step]
            expectClose([Float(norm)], [Float(wanted.gradNorm)], tolerance: 2e-5, "gradient norm of step \(step)")
            let learningRate = schedule.learningRate(at: step)
            expectClose([learningRate], [Float(wanted.learningRate)], tolerance: 1e-5, "learning rate of step \(step)")
            optimizer.update(
                learningRate: learningRate,
                gradientFactor: GradientClipping.factor(norm: norm, limit: Float(expected.maxGradNorm)), in: workspace)
            draft.parameters.zeroGradients()
            let file = "step_\(step + 1)"
            if fileExists(golden.path(file)) { try compare(draft.parameters, golden, file, nil) }
        }
    }

    /// Rows, weights and losses of each position, as the reference sums them.
    private func compareSums(
        _ model: OnlineDraft, _ draft: DFlashDraftModel, _ sequence: TrainingSequence,
        _ micro: BlockGolden.Expected.MicroBatch, _ name: String, in workspace: Workspace
    ) throws {
        try workspace.scope {
            let (lesson, plan) = (model.lesson([sequence], in: workspace), draft.training.plan([sequence], draft.shape))
            let record = draft.forward(lesson, plan, in: workspace)
            let measured = draft.head.measure(draft.lessons(record, [plan], lesson), in: workspace)
            let first = draft.shape.firstDraftingRow
            var sums: [String: [Float]] = [:]
            for (i, label) in plan.labels.all.enumerated() {
                let (row, weight) = (try #require(measured[i]).row, try #require(measured[i]).weight)
                var values: [(String, Float)] = [("rows", 1), ("weight", weight), ("ce", row.ce), ("tv", row.tv)]
                if draft.head.confidence != nil { values.append(("bce", row.bce)) }
                for (key, value) in values {
                    sums[key, default: [Float](repeating: 0, count: draft.shape.blockSize)][first + label.position] +=
                        value
                }
            }
            for (key, found) in sums {
                expectClose(
                    found, try #require(micro.sumsByPosition[key]).map { Float($0) }, tolerance: 1e-5,
                    "\(key) by position of \(name)")
            }
        }
    }

    /// Compares weights, or if `gradientScale` is given gradients, with those of a file.
    private func compare(
        _ store: ParameterStore, _ golden: BlockGolden, _ file: String, _ gradientScale: Float?
    ) throws {
        let reference = try SafetensorsFile(golden.path(file))
        let trained = store.parameters.filter { !$0.isFrozen }
        #expect(trained.reduce(0) { $0 + $1.parts.count } == reference.tensors.count)
        for parameter in trained {
            for part in parameter.parts {
                let matrix = gradientScale == nil ? parameter.weight : parameter.gradient
                let found = matrix[rows: part.rows].elements.map { $0 * (gradientScale ?? 1) }
                expectClose(
                    found, try reference.golden(part.name).values, tolerance: gradientScale == nil ? 1e-4 : 2e-5,
                    "\(file) \(part.name)")
            }
        }
    }

    /// Logits of all rows of the first micro batch, those that learn nothing among them, and what each row says of
    /// itself.
    @Test(arguments: BlockGolden.cases)
    func everyRowIsTheReferences(name: String) throws {
        let golden = try BlockGolden(name)
        let (model, draft) = try golden.model(AbsentRanks())
        let (workspace, sequence) = (Workspace(), golden.sequences[0])
        let reference = try SafetensorsFile(golden.path("rows_0"))
        let (lesson, plan) = (model.lesson([sequence], in: workspace), draft.training.plan([sequence], draft.shape))
        let features = try SafetensorsFile(golden.path("features_0"))
        expectClose(
            lesson.features.elements, try features.golden("aux_hidden_states").values, tolerance: 1e-5, "features")
        let record = draft.forward(lesson, plan, in: workspace)
        let y = workspace.matrix(rows: plan.rowCount, columns: draft.shape.hiddenSize)
        let logits = workspace.matrix(rows: plan.rowCount, columns: draft.shape.draftVocabSize)
        draft.head.head.norm.forward(record.hidden, into: y)
        draft.head.head.lmHead.forward(y, into: logits)
        let expected = try reference.golden("logits").values
        if draft.head.markov == nil { expectClose(logits.elements, expected, tolerance: 1e-5, "logits") }

        let measured = draft.head.measure(draft.lessons(record, [plan], lesson), in: workspace)
        let (ce, tv, mask, weight) = (
            try reference.golden("ce").values, try reference.golden("tv").values,
            try reference.golden("mask").values, try reference.golden("weight").values
        )
        #expect(Set(plan.labels.all.map(\.row)) == Set(mask.indices.filter { mask[$0] > 0 }))
        for (i, label) in plan.labels.all.enumerated() {
            let own = try #require(measured[i])
            let (row, z) = (own.row, own.logits)
            expectClose(
                z, Array(expected[label.row * z.count..<(label.row + 1) * z.count]), tolerance: 1e-5,
                "logits of row \(label.row)")
            expectClose(
                [row.ce, row.tv, own.weight], [ce[label.row], tv[label.row], weight[label.row]], tolerance: 1e-5,
                "row \(label.row)")
        }
    }

    @Test(arguments: BlockGolden.cases)
    func draftingRoundsAreTheReferences(name: String) throws {
        let golden = try BlockGolden(name)
        guard let expected = golden.expected.drafting else { return }
        let (model, draft) = try golden.model(AbsentRanks(), weights: "drafting")
        let (target, workspace) = (try #require(model.target as? DecoderTargetModel), Workspace())
        let decoder = TargetDecoder(target, targetLayers: model.targetLayers, capacity: 100, workspace: workspace)
        let drafting = draft.makeDecoder(
            draftToTarget: try golden.mapping, capacity: 100, workspace: workspace, embed: decoder.embed)
        let first = decoder.run(expected.prompt, onlyLast: true)
        drafting.advance(features: first.auxiliary, next: Array(expected.prompt.dropFirst()) + first.next)
        var newest = first.next[0]
        for round in expected.rounds {
            #expect(decoder.count == round.position && newest == round.anchor)
            let drafted = drafting.draft(draft.longestDraft)
            #expect(drafted == round.drafted, "round at \(round.position)")
            let verified = decoder.run([newest] + drafted)
            let accepted = zip(drafted, verified.next).prefix { $0 == $1 }.count
            #expect(accepted == round.accepted, "round at \(round.position)")
            decoder.truncate(to: round.position + 1 + accepted)
            drafting.advance(
                features: verified.auxiliary[rows: 0..<accepted + 1], next: Array(verified.next[0...accepted]))
            newest = verified.next[accepted]
        }
        let limit = expected.output.count - expected.prompt.count
        let tokens = SpeculativeDecoding.speculative(
            decoder, drafting, prompt: expected.prompt, limit: limit, draftLength: draft.longestDraft, endTokens: []
        ).tokens
        #expect(expected.prompt + tokens == expected.output)
    }
}
