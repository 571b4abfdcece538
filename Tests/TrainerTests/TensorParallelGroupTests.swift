import Shared
import Testing

@testable import Trainer

/// A tensor-parallel group learns what one rank alone would, however unevenly its ranks have sequences, and no rank
/// holds all of the group's rows.
struct TensorParallelGroupTests {
    /// For each rank, the numbers of its sequences.
    private static let deals: [[[Int]]] = [
        [[0, 1, 2], [3]], [[2, 0, 3], [], [1]],
    ]

    /// The gradients, summed over ranks, and what was measured.
    private static func learn(
        _ deal: [[Int]], pieceSize: DraftLabels.PieceSize
    ) throws -> (gradients: [Float], losses: [Float]) {
        let run = try GoldenRun("llama")
        let results = try ThreadCommunicator.run(deal.count) { group -> ([Float], [Double]) in
            let trainer = try run.trainer(group)
            var draft = try #require(trainer.draft as? Eagle3DraftModel)
            draft.head.pieceSize = pieceSize
            let model = OnlineDraft(
                target: trainer.target, draft: draft, teacher: trainer.teacher, targetLayers: trainer.targetLayers)
            draft.parameters.zeroGradients()
            let samples = deal.map { $0.map { TrainingSequence(sample: run.samples[$0]) } }
            let weights = LossWeights(
                sequences: samples[group.rank].map { 1 / Float($0.length) }, features: 2)
            let statistics = model.run(samples, weights: weights, in: Workspace())
            return (
                Array(draft.parameters.gradients),
                statistics.positions.flatMap { [$0.loss, $0.learnt, $0.correct, $0.aligned, $0.cosine] }
            )
        }
        let sum = results[0].0.indices.map { i in results.reduce(0) { $0 + $1.0[i] } }
        return (sum, results[0].1.indices.map { i in Float(results.reduce(0) { $0 + $1.1[i] }) })
    }

    @Test(arguments: deals) func piecesOfAnySizeGiveTheSameGradients(deal: [[Int]]) throws {
        let whole = try Self.learn([[0, 1, 2, 3]], pieceSize: .init())
        #expect(whole.gradients.contains { $0 != 0 })
        for (labels, targetRows) in [(16, 4), (40, 1)] {
            let pieces = try Self.learn(
                deal, pieceSize: .init(labels: labels, targetRows: targetRows))
            expectClose(pieces.gradients, whole.gradients, tolerance: 1e-5, "gradients, \(labels) labels")
            expectClose(pieces.losses, whole.losses, tolerance: 1e-5, "statistics, \(labels) labels")
        }
    }

    /// Such sizes do cut, and ranks have unequally many pieces.
    @Test func smallPiecesAreSeveralAndUneven() throws {
        let run = try GoldenRun("llama")
        let counts = [[0, 1, 2], [3]].map { numbers in
            let plan = Eagle3Training(tttLength: run.expected.tttLength, alignment: .eagle).plan(
                numbers.map { TrainingSequence(sample: run.samples[$0]) })
            return plan.draftLabels.pieces(.init(labels: 16, targetRows: 4)).count
        }
        #expect(counts[0] > counts[1] && counts[1] > 1, "\(counts)")
    }

    /// What a rank gets of its rows, and the activations that it took.
    private static func features(
        _ deal: [[Int]], mostRows: Int, _ compute: Compute = .test
    ) throws -> [(values: [[Float]], activations: Int)] {
        let run = try GoldenRun("llama")
        return try ThreadCommunicator.run(deal.count) { group in
            let trainer = try run.trainer(group, compute)
            let workspace = Workspace(compute)
            let features = TargetFeatures(
                target: trainer.target, targetLayers: trainer.targetLayers,
                appendedTokens: trainer.draft.appendedTokens, cache: nil, mostRows: mostRows)
            let found = features.run(deal.map { $0.map { TrainingSequence(sample: run.samples[$0]) } }, in: workspace)
            return (
                [found.hidden.elements, found.auxiliary.elements, found.embedding.elements], workspace.highWater
            )
        }
    }

    @Test(arguments: deals) func ranksGetTheirRowsHoweverManyAreComputedTogether(deal: [[Int]]) throws {
        for mostRows in [1, 60, 100_000] {
            let found = try Self.features(deal, mostRows: mostRows)
            for (numbers, found) in zip(deal, found) {
                let alone = try Self.features([numbers], mostRows: 1)[0]
                for (name, pair) in zip(["hidden", "auxiliary", "embedding"], zip(found.values, alone.values)) {
                    expectClose(pair.0, pair.1, tolerance: 1e-5, "\(name), \(mostRows) rows together")
                }
            }
        }
    }

    /// With many ranks a rank's activations are those of its own sequences, and not of the group's; counted with one
    /// thread, as each has scratch memory of its own, which is much beside so few rows.
    @Test func noRankHoldsAllRowsOfTheGroup() throws {
        let (deal, compute) = ([[0, 1], [2, 3], [1, 2], [3, 0]], Compute())
        let few = try Self.features(deal, mostRows: 1, compute)
        let all = try Self.features(deal, mostRows: 100_000, compute)
        for (few, all) in zip(few, all) { #expect(Double(few.activations) < 0.6 * Double(all.activations)) }
        let own = try Self.features([[0, 1]], mostRows: 1, compute)[0].activations
        #expect(Double(few[0].activations) < 1.7 * Double(own), "\(few[0].activations) beside \(own) of one rank")
    }
}
