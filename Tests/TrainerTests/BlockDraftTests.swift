import Shared
import TestSupport
import Testing

@testable import Trainer

/// A draft that learns in blocks, from anchors drawn by chance, in the loop, the evaluation, the decoding and the plans
/// that EAGLE-3 has.
struct BlockDraftTests {
    private static let settings = TrainingSettings(
        numEpochs: 3, batchSize: 1, globalBatchSize: 4, learningRate: 3e-3, warmupRatio: 0.1, maxGradNorm: 1, seed: 5,
        isDeterministic: true)

    private static func model(_ communicator: any Communicator) throws -> OnlineDraft {
        let trainer = try GoldenRun("llama").trainer(communicator)
        let (target, layers) = (trainer.target, [0, 2, 3, 5])
        let draft = BlockDraft(
            hiddenSize: target.configuration.hiddenSize, targetLayers: layers.count,
            draftVocabSize: trainer.teacher.draftVocabSize, blockSize: 4, anchors: 6, .test)
        draft.initialize(seed: 1)
        draft.initializeHead(target, draftToTarget: try draftToTarget())
        return OnlineDraft(target: target, draft: draft, teacher: trainer.teacher, targetLayers: layers)
    }

    private static func draftToTarget() throws -> [Int32] {
        try SafetensorsFile(GoldenRun("llama").path("vocab_mapping")).tensor("d2t").integers().enumerated().map {
            Int32($0 + $1)
        }
    }

    private static func loop(_ world: any Communicator, tpSize: Int = 1) throws -> TrainingLoop {
        let grid = try ProcessGrid(world: world, tpSize: tpSize)
        return try TrainingLoop(
            grid: grid, model: model(grid.tensorParallel), samples: GoldenRun("llama").samples, settings: settings)
    }

    private static func train(_ loop: TrainingLoop, steps: Int = .max) throws -> (
        losses: [Double], weights: [Float], heldOut: [Double]
    ) {
        var losses: [Double] = []
        while !loop.isDone, losses.count < steps { losses.append(loop.model.draft.loss(try loop.run().statistics)) }
        return (losses, Array(loop.model.draft.parameters.weights), try loop.evaluate(loop.samples).losses)
    }

    @Test(arguments: [1, 2, 3])
    func itTrainsTheSameOnAnyNumberOfRanks(ranks: Int) throws {
        let alone = try Self.train(Self.loop(AbsentRanks()))
        #expect(alone.losses.allSatisfy { $0 > 0 } && Set(alone.losses).count == alone.losses.count)
        #expect(alone.heldOut.count == 4)
        for run in try ThreadCommunicator.run(ranks, { try Self.train(Self.loop($0)) }) {
            #expect(run.losses == alone.losses && run.weights == alone.weights && run.heldOut == alone.heldOut)
        }
    }

    @Test func itTrainsTheSameWhereRanksShareTheTarget() throws {
        let alone = try Self.train(Self.loop(AbsentRanks()))
        for run in try ThreadCommunicator.run(2, { try Self.train(Self.loop($0, tpSize: 2)) }) {
            expectClose(run.weights, alone.weights, tolerance: 1e-4, "weights")
        }
    }

    /// Anchors are those of an uninterrupted run, and others in each epoch.
    @Test func aResumedRunDrawsTheSameAnchors() throws {
        let whole = try Self.train(Self.loop(AbsentRanks()))
        let (first, second) = (try Self.loop(AbsentRanks()), try Self.loop(AbsentRanks()))
        _ = try Self.train(first, steps: 3)
        let weights = first.model.draft.parameters.weights
        for (i, weight) in weights.enumerated() { second.model.draft.parameters.weights[i] = weight }
        for moment in ShardedOptimizer.Moment.allCases {
            var all: [Float] = []
            try first.optimizer.gather(moment) { part, numbers in
                all += UnsafeBufferPointer(start: numbers, count: part.count)
            }
            second.optimizer.restore(moment) { part, numbers in
                for i in part { numbers[i - part.lowerBound] = all[i] }
            }
        }
        second.optimizer.updates = first.optimizer.updates
        second.resume(at: 3)
        let rest = try Self.train(second)
        #expect(rest.losses == Array(whole.losses.dropFirst(3)) && rest.weights == whole.weights)
        let sample = try GoldenRun("llama").samples[0]
        let draft = try #require(first.model.draft as? BlockDraft)
        let anchors = [0, first.sampler.stepsPerEpoch].map { step in
            draft.anchors(TrainingSequence(sample: sample, seed: first.sampler.sampleSeed(step: step, sample: 0)))
        }
        #expect(anchors[0] != anchors[1] && anchors.allSatisfy { $0.count == 6 })
    }

    @Test func itLearns() throws {
        let loop = try Self.loop(AbsentRanks())
        let before = try loop.evaluate(loop.samples)
        _ = try Self.train(loop)
        let after = try loop.evaluate(loop.samples)
        #expect(loop.model.draft.loss(after) < loop.model.draft.loss(before))
        #expect(after.labels == before.labels, "held-out anchors are the same in every evaluation")
    }

    @Test func itDraftsWholeBlocksAndNoMore() throws {
        let model = try Self.model(AbsentRanks())
        let target = try #require(model.target as? DecoderTargetModel)
        let workspace = Workspace()
        let decoder = TargetDecoder(target, targetLayers: model.targetLayers, capacity: 80, workspace: workspace)
        let drafting = model.draft.makeDecoder(
            draftToTarget: try Self.draftToTarget(), capacity: 80, workspace: workspace, embed: decoder.embed)
        let prompt = Array(try GoldenRun("llama").samples[0].inputIDs.prefix(8))
        let plain = SpeculativeDecoding.plain(decoder, prompt: prompt, limit: 40, endTokens: [])
        let drafted = SpeculativeDecoding.speculative(
            decoder, drafting, prompt: prompt, limit: 40, draftLength: 4, endTokens: [])
        #expect(drafted.tokens == plain.tokens && drafted.statistics.drafted == 4 * drafted.statistics.verifications)
        let limits = HeldOutDecoding.Limits(prompts: 1, newTokens: 8, draftLength: 4)
        try limits.expectDraftable(by: model.draft)
        let error = #expect(throws: OptionsError.self) {
            try HeldOutDecoding.Limits(prompts: 1, newTokens: 8, draftLength: 5).expectDraftable(by: model.draft)
        }
        #expect(error.map { "\($0)".contains("--draft-length 5 is more than the 4") } == true)
        #expect(!model.draft.draftsTrees && !(drafting is any TreeDrafting))
        let shape = DraftTree.Shape(branches: 2, steps: 2, tokens: 4)
        let noTrees = #expect(throws: OptionsError.self) {
            try HeldOutDecoding.Limits(prompts: 1, newTokens: 8, draftLength: 4, tree: shape)
                .expectDraftable(by: model.draft)
        }
        #expect(noTrees.map { "\($0)".contains("--draft-tree has no meaning for this draft") } == true)
    }

    @Test func itIsPlannedAsItIsTrained() throws {
        let model = try Self.model(AbsentRanks())
        let target = try #require(model.target as? DecoderTargetModel)
        let sizes = StepSizes(sequences: 2, length: 60, supervised: 0.5, tpSize: 1)
        let workspace = Workspace()
        _ = model.run([sizes.sequences], weights: LossWeights(sequences: [1, 1]), in: workspace)
        let planned = ActivationPlan(
            target, targetLayers: model.targetLayers.count, model.draft, sizes, .test
        ).elements
        #expect(0.87...1.15 ~= Double(planned) / Double(workspace.highWater))
        let work = model.draft.necessaryWork(sizes.sequences[0])
        let operations = NecessaryOperations(target: target, draft: model.draft, targetLayers: model.targetLayers)
        #expect(operations.count(sizes.sequences[0]) == operations.targetCount(work) + work.operations)
        #expect(work.logits.count <= 6 * 4 && work.targetRows <= 60)
    }
}
