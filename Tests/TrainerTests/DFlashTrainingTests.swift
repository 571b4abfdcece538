import Shared
import TestSupport
import Testing

@testable import Trainer

/// DFlash in the loop, the decoding and the plans that EAGLE-3 has.
struct DFlashTrainingTests {
    private static let settings = TrainingSettings(
        numEpochs: 3, batchSize: 1, globalBatchSize: 4, learningRate: 3e-3, warmupRatio: 0.1, maxGradNorm: 1, seed: 5,
        isDeterministic: true)

    private static func model(
        _ communicator: any Communicator, _ name: String = "dflash/llama"
    ) throws -> (online: OnlineDraft, draft: DFlashDraftModel) {
        try BlockGolden(name).model(communicator, BlockTraining(anchors: .drawn(3)))
    }

    private static func loop(
        _ world: any Communicator, tpSize: Int = 1, _ name: String = "dflash/llama"
    ) throws -> TrainingLoop {
        let grid = try ProcessGrid(world: world, tpSize: tpSize)
        return try TrainingLoop(
            grid: grid, model: model(grid.tensorParallel, name).online,
            samples: BlockGolden("dflash/llama").sequences.map(\.sample), settings: settings)
    }

    private static func train(_ loop: TrainingLoop, steps: Int = .max) throws -> (losses: [Double], weights: [Float]) {
        var losses: [Double] = []
        while !loop.isDone, losses.count < steps { losses.append(loop.model.draft.loss(try loop.run().statistics)) }
        return (losses, Array(loop.model.draft.parameters.weights))
    }

    @Test(arguments: [2, 3], ["dflash/llama", "dspark/llama"])
    func itTrainsTheSameOnAnyNumberOfRanks(ranks: Int, name: String) throws {
        let alone = try Self.train(Self.loop(AbsentRanks(), name))
        #expect(alone.losses.allSatisfy { $0 > 0 } && Set(alone.losses).count == alone.losses.count)
        for run in try ThreadCommunicator.run(ranks, { try Self.train(Self.loop($0, name)) }) {
            #expect(run.losses == alone.losses && run.weights == alone.weights)
        }
    }

    @Test func itTrainsTheSameWhereRanksShareTheTarget() throws {
        let alone = try Self.train(Self.loop(AbsentRanks()))
        for run in try ThreadCommunicator.run(2, { try Self.train(Self.loop($0, tpSize: 2)) }) {
            expectClose(run.weights, alone.weights, tolerance: 1e-3, "weights")
        }
    }

    @Test func itLearnsAndLeavesTheHeadAsItIs() throws {
        let loop = try Self.loop(AbsentRanks())
        let draft = try #require(loop.model.draft as? DFlashDraftModel)
        let head = draft.head.head.lmHead.weight.weight.elements
        let before = try loop.evaluate(loop.samples)
        _ = try Self.train(loop)
        let after = try loop.evaluate(loop.samples)
        #expect(draft.loss(after) < draft.loss(before))
        #expect(after.labels == before.labels, "held-out anchors are the same in every evaluation")
        #expect(draft.head.head.lmHead.weight.weight.elements == head)
        #expect(!draft.parameters.tensors.contains { $0.name == "lm_head.weight" }, "a whole head isn't saved")
    }

    @Test(arguments: ["dflash/llama", "dspark/llama"])
    func productsInBFloat16LearnTheSame(name: String) throws {
        guard MatrixPrecision.bfloat16.isSupported else { return }
        let golden = try BlockGolden(name)
        let (sequence, weights) = (golden.sequences[0], LossWeights(sequences: [0.05]))
        let gradients = try [Compute.Way.float32, .bfloat16].map { way in
            let (model, draft) = try golden.model(AbsentRanks(), golden.training, way.compute)
            _ = model.run([[sequence]], weights: weights, in: Workspace(way.compute))
            return Array(draft.parameters.gradients)
        }
        expectClose(gradients[1], gradients[0], tolerance: 0.05, "gradients")
    }

    @Test(arguments: [(1, 60, 1.0), (2, 60, 0.4)], ["dflash/llama", "dspark/llama"])
    func activationsArePlannedAsTheyAreTaken(_ sizes: (sequences: Int, length: Int, share: Double), name: String) throws
    {
        let (sequences, length, share) = sizes
        let (model, draft) = try Self.model(AbsentRanks(), name)
        let target = try #require(model.target as? DecoderTargetModel)
        let sizes = StepSizes(sequences: sequences, length: length, supervised: share, tpSize: 1)
        let workspace = Workspace()
        _ = model.run(
            [sizes.sequences], weights: LossWeights(sequences: sizes.sequences.map { _ in 1 }), in: workspace)
        let planned = ActivationPlan(target, targetLayers: model.targetLayers.count, draft, sizes, .test).elements
        #expect(0.87...1.15 ~= Double(planned) / Double(workspace.highWater))
        let work = draft.necessaryWork(sizes.sequences[0])
        #expect(work.logits.count <= 3 * 5 && work.targetRows <= length && work.operations > 0)
    }
}

/// Where blocks begin and what they learn.
struct BlockPlanTests {
    private static func shape(anchorFirst: Bool) -> BlockShape {
        BlockShape(
            hiddenSize: 4, intermediateSize: 4, numHiddenLayers: 1, numAttentionHeads: 1, numKeyValueHeads: 1,
            headDim: 4, rmsNormEpsilon: 1e-5, featureCount: 1, vocabSize: 100, draftVocabSize: 100, blockSize: 4,
            anchorFirst: anchorFirst, maskToken: 99, spans: [BlockShape.Span()])
    }

    @Test func anchorsAreDrawnFromThoseThatLearnSomething() {
        let mask = (0..<60).map { $0 > 4 && $0 % 9 > 1 }
        let possible = Set(mask.indices.dropLast().filter { mask[$0] && mask[$0 + 1] })
        var seen: Set<Int> = []
        for seed in 0..<200 as Range<UInt64> {
            let anchors = BlockPlan.draw(mask, count: 7, seed: seed)
            #expect(anchors.count == 7 && zip(anchors, anchors.dropFirst()).allSatisfy(<))
            #expect(anchors == BlockPlan.draw(mask, count: 7, seed: seed))
            seen.formUnion(anchors)
        }
        #expect(seen == possible, "each is drawn sometimes, and no other ever")
        #expect(BlockPlan.draw(mask, count: 1000, seed: 1) == possible.sorted())
        #expect(BlockPlan.draw([true], count: 3, seed: 1).isEmpty && BlockPlan.draw([], count: 3, seed: 1).isEmpty)
    }

    @Test(arguments: [false, true])
    func rowsLearnTheTokensThatADecoderAsksThemFor(anchorFirst: Bool) {
        let mask = [false, true, true, false, true, true]
        let sequence = TrainingSequence(sample: Sample(inputIDs: [10, 11, 12, 13, 14, 15], lossMask: mask))
        let shape = Self.shape(anchorFirst: anchorFirst)
        let first = anchorFirst ? 0 : 1
        for (labelMask, wanted) in [
            (BlockPlan.LabelMask.prefix, [(1, 12), (4, 15)]), (.each, [(1, 12), (3, 14), (4, 15)]),
        ] as [(BlockPlan.LabelMask, [(Int, Int32)])] {
            let plan = BlockPlan([sequence, sequence], anchors: [[], [1, 4]], shape, labelMask)
            let own = plan.labels.all.map { ($0.targetRow ?? 0, $0.row) }
            // The block of anchor 1 has its rows first; what it learns of the token after the gap only with `each`.
            let firstBlock = labelMask == .prefix ? [(7, first)] : [(7, first), (9, first + 2)]
            let lastPosition = anchorFirst && labelMask == .each ? [(10, first + 3)] : []
            let expected = firstBlock + lastPosition + [(10, 4 + first)]
            #expect(own.map { $0.0 } == expected.map { $0.0 })
            #expect(Set(own.map { $0.1 }) == Set(expected.map { $0.1 }))
            #expect(Set(plan.tokens) == Set(wanted.map { $0.1 }))
            #expect(plan.contextCount == 4 && plan.rowCount == 8)
            #expect(plan.embeddingRows == [8, 13, 13, 13, 11, 13, 13, 13])
            #expect(plan.positions == [1, 2, 3, 4, 4, 5, 6, 7])
        }
    }
}
