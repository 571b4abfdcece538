import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// A draft whose head isn't trained: the head stays, all else learns as it would, and no moments are kept for it.
struct FrozenHeadTests {
    private func trainer(freezesHead: Bool) throws -> OnlineDraft {
        try GoldenRun("llama").trainer(AbsentRanks(), freezesHead: freezesHead)
    }

    @Test func theOtherGradientsAreThoseOfADraftWhoseHeadIsTrained() throws {
        let samples = try GoldenRun("llama").samples
        let gradients = try [false, true].map { freezesHead in
            let trainer = try trainer(freezesHead: freezesHead)
            _ = trainer.run(
                [[samples[0]]], weights: LossWeights(sequences: [0.1]), in: Workspace())
            return Array(trainer.draft.parameters.gradients)
        }
        #expect(gradients[1].count < gradients[0].count)
        #expect(Array(gradients[0].prefix(gradients[1].count)) == gradients[1])
    }

    @Test func aCheckpointHasTheHeadAndNoMomentsOfIt() throws {
        try withTemporaryDirectory { directory in
            let run = try GoldenRun("llama")
            let grid = try ProcessGrid(world: AbsentRanks(), tpSize: 1)
            let make = {
                try TrainingLoop(
                    grid: grid, model: trainer(freezesHead: true), samples: run.samples,
                    settings: TrainingSettings(globalBatchSize: 4, learningRate: 1e-3))
            }
            let loop = try make()
            let first = try #require(loop.model.draft.parameters.parameters.last).weight.elements
            let norm = loop.model.draft.parameters.parameters[8].weight.elements
            for _ in 0..<2 { _ = try loop.run() }
            let head = try #require(loop.model.draft.parameters.parameters.last)
            #expect(head.parts[0].name == "lm_head.weight" && head.weight.elements == first)
            #expect(loop.model.draft.parameters.parameters[8].weight.elements != norm)
            try Checkpoints(directory: directory).save(
                checkpointContents(loop), name: "step_2", isBest: false, world: AbsentRanks())
            let model = try SafetensorsFile("\(directory)/latest/model.safetensors")
            #expect(try model.tensor("lm_head.weight").shape == [head.weight.rows, head.weight.columns])
            let state = try SafetensorsFile("\(directory)/latest/training_state.safetensors")
            #expect(state.tensors["lm_head.weight"] != nil && state.tensors["adam.m.lm_head.weight"] == nil)
            #expect(state.tensors["adam.m.norm.weight"] != nil)
            let second = try make()
            head.weight.fill(7)
            try Checkpoints.restore(
                "\(directory)/step_2", into: second.model.draft.parameters, second.optimizer)
            #expect(try #require(second.model.draft.parameters.parameters.last).weight.elements == first)
            #expect(try secondMoments(second.optimizer) == secondMoments(loop.optimizer))
        }
    }

    private func secondMoments(_ optimizer: ShardedOptimizer) throws -> [Float] {
        var moments: [Float] = []
        try optimizer.gather(.second) { range, numbers in
            moments += UnsafeBufferPointer(start: numbers, count: range.count)
        }
        return moments
    }

    /// The norm before it is the target's, scaled so that logits are three times as large as random numbers' would be; one
    /// that is small already stays.
    @Test(arguments: [(1, true), (0.001, false)] as [(Float, Bool)])
    func theTargetsHeadKeepsItsSizeAndBeginsUndecided(size: Float, isScaled: Bool) throws {
        let directory = Fixtures.goldens.appending(path: "targets/llama").path
        let ids: [Int32] = [2, 3, 5, 60]
        let model = try ModelConfiguration(directory: directory)
        let configuration = try Eagle3Configuration(target: model, draftVocabSize: ids.count)
        let eagle = Eagle3DraftModel(
            configuration.shape, rotary: try configuration.rotary(positions: 8), freezesHead: true)
        let block = try DFlashConfiguration.generated(
            "DFlashDraftModel", target: model, draftVocabSize: ids.count
        ).makeDraft(BlockTraining(), positions: 8, .test)
        let (workspace, columns) = (Workspace(), configuration.shape.hiddenSize)
        let target = FixedTarget(vocabSize: 64, hiddenSize: columns, in: workspace)
        for row in 0..<target.head.rows { target.head.scale(row: row, by: size) }
        let (rows, scale) = (
            workspace.matrix(rows: ids.count, columns: columns), workspace.matrix(rows: 1, columns: columns)
        )
        target.headRows(ids, into: rows)
        target.headScale(into: scale)
        let products = rows.elements.indices.map { rows.elements[$0] * scale.elements[$0 % columns] }
        let meanSquare = products.reduce(0) { $0 + $1 * $1 } / Float(products.count)
        // Numbers within ±1/√inputs have the mean square 1/(3 inputs).
        let factor = 3 / (3 * Float(columns) * meanSquare).squareRoot()
        #expect((factor < 1) == isScaled)
        for draft in [eagle, block] as [any DraftModel] {
            draft.initialize(seed: 1)
            draft.initializeHead(target, draftToTarget: ids)
        }
        withExtendedLifetime((eagle, block, workspace)) {
            for head in [eagle.head, block.head.head] {
                #expect(head.lmHead.weight.weight.elements == rows.elements)
                expectClose(
                    head.norm.weight.weight.elements, scale.elements.map { $0 * min(1, factor) }, tolerance: 1e-5,
                    "the norm")
            }
        }
    }
}
