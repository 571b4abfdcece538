import Shared
import Testing

@testable import Trainer

/// Training where there is nothing to learn, where gradients are rounded on their way, and on some samples alone.
struct TrainingEdgesTests {
    /// The same that learns what a draft is asked for, and not what EAGLE learns at a sequence's end.
    private static func model(_ trainer: OnlineDraft) throws -> OnlineDraft {
        let draft = try #require(trainer.draft as? Eagle3DraftModel)
        var training = draft.training
        training.alignment = .label
        return OnlineDraft(
            target: trainer.target, draft: draft.with(training), teacher: trainer.teacher,
            targetLayers: trainer.targetLayers)
    }

    /// Sequences in which there is nothing to predict: of one token, or without a supervised one.
    @Test(arguments: [(1, 1), (2, 1), (2, 2)], [TrainingSettings.LossNormalization.tokens, .rows])
    func sequencesWithoutALabelLeaveTheDraftAsItIs(
        ranks: (all: Int, tpSize: Int), normalization: TrainingSettings.LossNormalization
    ) throws {
        let run = try GoldenRun("llama")
        let long = run.samples[0].inputIDs
        let empty = [
            Sample(inputIDs: [long[0]], lossMask: [true]), Sample(inputIDs: [long[1]], lossMask: [false]),
            Sample(inputIDs: long, lossMask: long.map { _ in false }),
            Sample(inputIDs: Array(long.prefix(2)), lossMask: [true, false]),
        ]
        let settings = TrainingSettings(
            numEpochs: 1, globalBatchSize: 2, learningRate: 1e-2, warmupRatio: 0, normalization: normalization)
        let ends = try ThreadCommunicator.run(ranks.all) { world in
            let grid = try ProcessGrid(world: world, tpSize: ranks.tpSize)
            let loop = try TrainingLoop(
                grid: grid, model: try Self.model(run.trainer(grid.tensorParallel)), samples: empty, settings: settings)
            let before = Array(loop.model.draft.parameters.weights)
            let reports = try (0..<2).map { _ in try loop.run() }
            for report in reports {
                #expect(report.gradNorm == 0 && !report.isSkipped && report.statistics.isFinite)
                #expect(report.statistics.positions.allSatisfy { $0.labels == 0 && $0.loss == 0 })
            }
            return before == Array(loop.model.draft.parameters.weights)
        }
        #expect(ends.allSatisfy { $0 })
    }

    /// Beside another sequence they change nothing but what the loss is a mean over.
    @Test(arguments: [1, 2]) func aSequenceWithoutALabelAddsNothingToAnother(ranks: Int) throws {
        let run = try GoldenRun("llama")
        func weights(_ samples: [Sample]) throws -> [Float] {
            try ThreadCommunicator.run(ranks) { world in
                let grid = try ProcessGrid(world: world, tpSize: 1)
                let loop = try TrainingLoop(
                    grid: grid, model: try Self.model(run.trainer(grid.tensorParallel)), samples: samples,
                    settings: TrainingSettings(
                        numEpochs: 1, globalBatchSize: samples.count, learningRate: 1e-3, warmupRatio: 0))
                _ = try loop.run()
                return Array(loop.model.draft.parameters.weights)
            }[0]
        }
        let one = Sample(inputIDs: [5], lossMask: [true])
        let (with, without) = (try weights([run.samples[0], one]), try weights([run.samples[0]]))
        expectClose(with, without, tolerance: 1e-6, "weights")
    }

    /// Gradients that are rounded on their way lead almost where others do, and are not the same.
    @Test(arguments: [2, 3]) func gradientsInBFloat16OnTheWayTrainAlmostAsOthersDo(ranks: Int) throws {
        func train(_ type: WireType) throws -> [(losses: [Float], weights: [Float])] {
            let settings = {
                var settings = TrainingLoopTests.settings
                settings.reduceType = type
                return settings
            }()
            return try ThreadCommunicator.run(ranks) { world in
                try TrainingLoopTests.train(TrainingLoopTests.loop(world, tpSize: 1, settings: settings))
            }
        }
        let (exact, rounded) = (try train(.float32), try train(.bfloat16))
        for run in rounded { #expect(run.weights == rounded[0].weights, "ranks hold the same draft") }
        #expect(rounded[0].weights != exact[0].weights)
        expectClose(rounded[0].losses, exact[0].losses, tolerance: 2e-3, "losses")
        let untrained = try TrainingLoopTests.loop(AbsentRanks(), tpSize: 1)
        let first = Array(untrained.model.draft.parameters.weights)
        var (dot, squares) = (0.0, (0.0, 0.0))
        for (i, start) in first.enumerated() {
            let moves = (Double(exact[0].weights[i] - start), Double(rounded[0].weights[i] - start))
            dot += moves.0 * moves.1
            squares = (squares.0 + moves.0 * moves.0, squares.1 + moves.1 * moves.1)
        }
        let cosine = dot / (squares.0 * squares.1).squareRoot()
        #expect(cosine > 0.99, "weights moved in another direction: cosine \(cosine)")
    }

    /// Held-out loss of some samples is that of these samples, and they are the same ones each time.
    @Test func heldOutLossOfSomeSamplesIsTheirs() throws {
        let loop = try TrainingLoopTests.loop(AbsentRanks(), tpSize: 1)
        let some = SomeSamples(loop.samples, limit: 3)
        #expect(some.count == 3 && some.numbers == SomeSamples(loop.samples, limit: 3).numbers)
        let own = try some.numbers.map(loop.samples.sample(at:))
        #expect(try loop.evaluate(some).losses == loop.evaluate(own).losses)
        #expect(try loop.evaluate(some).losses != loop.evaluate(loop.samples).losses)
    }

    @Test(arguments: [1, 2, 7, 100], [nil, 1, 3, 7, 1000])
    func someSamplesAreEvenlyOfAll(count: Int, limit: Int?) {
        let numbers = SomeSamples.numbers(limit, of: count)
        #expect(numbers.count == min(count, limit ?? .max) && numbers.first == 0)
        let gaps = zip(numbers.dropFirst() + [count], numbers).map { $0 - $1 }
        #expect((gaps.max() ?? 0) - (gaps.min() ?? 0) <= 1 && (gaps.min() ?? 1) > 0)
    }
}
