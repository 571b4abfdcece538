import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// A temporary directory that is removed at the end of a test.
func withTemporaryDirectory<R>(_ body: (String) throws -> R) throws -> R {
    let url = FileManager.default.temporaryDirectory.appending(path: "eyrie-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: url) }
    return try body(url.path)
}

/// Training is the same however it is spread over ranks and however often it is interrupted.
struct TrainingLoopTests {
    static let settings = TrainingSettings(
        numEpochs: 3, batchSize: 2, globalBatchSize: 4, learningRate: 1e-3, warmupRatio: 0.2, maxGradNorm: 0.5, seed: 5)

    static func loop(
        _ world: any Communicator, tpSize: Int, settings: TrainingSettings = settings
    ) throws -> TrainingLoop {
        let run = try GoldenRun("llama")
        let grid = try ProcessGrid(world: world, tpSize: tpSize)
        return try TrainingLoop(
            grid: grid, model: run.trainer(grid.tensorParallel), samples: run.samples, settings: settings)
    }

    /// The losses of all steps and the weights at the end.
    static func train(_ loop: TrainingLoop, steps: Int = 1_000_000) throws -> (
        losses: [Float], weights: [Float]
    ) {
        var losses: [Float] = []
        while !loop.isDone, losses.count < steps * 7 {
            losses += try loop.run().statistics.losses.map { Float($0) }
        }
        return (losses, Array(loop.model.draft.parameters.weights))
    }

    @Test(arguments: [(2, 1), (4, 1), (2, 2), (4, 2), (3, 3), (4, 4)])
    func anyNumberOfRanksTrainsAsOne(ranks: Int, tpSize: Int) throws {
        let alone = try Self.train(Self.loop(AbsentRanks(), tpSize: 1))
        #expect(alone.losses.count == 6 * 7)
        let together = try ThreadCommunicator.run(ranks) { world in
            try Self.train(Self.loop(world, tpSize: tpSize))
        }
        for (losses, weights) in together {
            expectClose(losses, alone.losses, tolerance: 1e-5, "losses")
            expectClose(weights, alone.weights, tolerance: 2e-4, "weights")
            #expect(weights == together[0].weights, "ranks hold the same draft")
        }
    }

    /// Samples of which some can't be read.
    private struct Damaged: TrainingSamples {
        let samples: [Sample]
        var bad: Set<Int> = []
        var count: Int { samples.count }

        func sample(at index: Int) throws -> Sample {
            guard !bad.contains(index) else { throw StoreError("store.mdb", "group 3 is damaged") }
            return samples[index]
        }
    }

    /// The gradient of the step before it is still in the buffers, and must not be applied a second time.
    @Test(arguments: [(1, false), (1, true), (2, false), (2, true)])
    func aStepWithoutAReadableSampleLeavesTheDraftAsItIs(ranks: Int, isDeterministic: Bool) throws {
        let settings = TrainingSettings(
            numEpochs: 1, globalBatchSize: 1, learningRate: 1e-2, seed: 5, isDeterministic: isDeterministic,
            badSamples: .skip)
        let run = try GoldenRun("llama")
        let bad = EpochOrder(
            BatchSampler(sampleCount: run.samples.count, globalBatchSize: 1, seed: 5)
        ).batch(1)[0]
        let samples = run.samples
        let moved = try ThreadCommunicator.run(ranks) { world in
            let grid = try ProcessGrid(world: world, tpSize: 1)
            let loop = try TrainingLoop(
                grid: grid, model: run.trainer(grid.tensorParallel), samples: Damaged(samples: samples, bad: [bad]),
                settings: settings)
            return try (0..<3).map { _ in
                let before = Array(loop.model.draft.parameters.weights)
                let report = try loop.run()
                return (report.isEmpty, report.isSkipped, before != Array(loop.model.draft.parameters.weights))
            }
        }
        for steps in moved {
            #expect(steps.map(\.0) == [false, true, false] && steps.map(\.1) == [false, false, false])
            #expect(steps.map(\.2) == [true, false, true])
        }
    }

    @Test(arguments: [1, 2, 3, 4])
    func aDeterministicRunIsTheSameBitByBitOnAnyNumberOfRanks(ranks: Int) throws {
        let settings = Self.deterministic
        let alone = try Self.train(Self.loop(AbsentRanks(), tpSize: 1, settings: settings))
        let together = try ThreadCommunicator.run(ranks) { world in
            let loop = try Self.loop(world, tpSize: 1, settings: settings)
            let (losses, weights) = try Self.train(loop)
            return (losses, weights, try loop.evaluate(loop.samples).losses)
        }
        let heldOut = try ThreadCommunicator.run(1) { world in
            let loop = try Self.loop(world, tpSize: 1, settings: settings)
            _ = try Self.train(loop)
            return try loop.evaluate(loop.samples).losses
        }[0]
        for (losses, weights, measured) in together {
            #expect(losses == alone.losses && weights == alone.weights && measured == heldOut)
        }
        let loose = try Self.train(Self.loop(AbsentRanks(), tpSize: 1))
        expectClose(alone.losses, loose.losses, tolerance: 1e-5, "losses of a run that isn't deterministic")
    }

    @Test func aDeterministicRunIsTheSameBitByBitForAnyNumberOfTensorParallelGroups() throws {
        let runs = try [2, 4].map { ranks in
            try ThreadCommunicator.run(ranks) { world in
                try Self.train(Self.loop(world, tpSize: 2, settings: Self.deterministic))
            }[0]
        }
        #expect(runs[0].losses == runs[1].losses && runs[0].weights == runs[1].weights)
    }

    private static var deterministic: TrainingSettings {
        var settings = settings
        settings.batchSize = 1
        settings.isDeterministic = true
        settings.bucketSize = 2 * Sharding.pieceSize
        return settings
    }

    @Test(arguments: [(1, 3), (3, 1), (2, 4)])
    func aRunGoesOnOnAnotherNumberOfRanks(before: Int, after: Int) throws {
        let settings = Self.deterministic
        let whole = try Self.train(Self.loop(AbsentRanks(), tpSize: 1, settings: settings))
        try withTemporaryDirectory { directory in
            let checkpoints = Checkpoints(directory: directory)
            let moments = try ThreadCommunicator.run(before) { world in
                let loop = try Self.loop(world, tpSize: 1, settings: settings)
                _ = try Self.train(loop, steps: 2)
                try checkpoints.save(checkpointContents(loop), name: "step_2", isBest: false, world: world)
                return loop.optimizer.momentCount
            }
            let alone = try Self.loop(AbsentRanks(), tpSize: 1).optimizer.momentCount
            #expect(moments.reduce(0, +) == alone, "each rank holds moments of its own")
            #expect(moments.allSatisfy { $0 < alone } || before == 1)
            let rest = try ThreadCommunicator.run(after) { world in
                let loop = try Self.loop(world, tpSize: 1, settings: settings)
                let (path, state) = try #require(try checkpoints.newest())
                try Checkpoints.restore(path, into: loop.model.draft.parameters, loop.optimizer)
                loop.optimizer.updates = state.updates
                loop.resume(at: state.step)
                return try Self.train(loop).weights
            }
            for weights in rest { #expect(weights == whole.weights) }
        }
    }

    @Test func trainingMovesTheLossDown() throws {
        var settings = Self.settings
        settings.numEpochs = 40
        let losses = try Self.train(Self.loop(AbsentRanks(), tpSize: 1, settings: settings)).losses
        let (first, last) = (losses[0], losses[losses.count - 7])
        #expect(last < first - 0.3, "from \(first) to \(last)")
    }

    @Test(arguments: [1, 2, 5])
    func aResumedRunEqualsAnUninterruptedOneBitByBit(stop: Int) throws {
        let whole = try Self.train(Self.loop(AbsentRanks(), tpSize: 1))
        try withTemporaryDirectory { directory in
            let checkpoints = Checkpoints(directory: directory)
            let first = try Self.loop(AbsentRanks(), tpSize: 1)
            let begun = try Self.train(first, steps: stop)
            try checkpoints.save(checkpointContents(first), name: "step_\(stop)", isBest: false, world: AbsentRanks())
            let second = try Self.loop(AbsentRanks(), tpSize: 1)
            let (path, state) = try #require(try checkpoints.newest())
            try Checkpoints.restore(path, into: second.model.draft.parameters, second.optimizer)
            second.optimizer.updates = state.updates
            second.resume(at: state.step)
            let rest = try Self.train(second)
            #expect(begun.losses + rest.losses == whole.losses)
            #expect(rest.weights == whole.weights)
        }
    }

    @Test func aDamagedCheckpointIsPassedOverForTheOneBefore() throws {
        try withTemporaryDirectory { directory in
            let checkpoints = Checkpoints(directory: directory)
            let loop = try Self.loop(AbsentRanks(), tpSize: 1)
            for step in 1...3 {
                _ = try loop.run()
                try checkpoints.save(
                    checkpointContents(loop), name: "step_\(step)", isBest: step == 1, world: AbsentRanks())
            }
            for name in ["model.safetensors", "training_state.safetensors"] {
                let file = "\(directory)/step_\(name.hasPrefix("m") ? 3 : 2)/\(name)"
                var bytes = try readFile(file)
                bytes[bytes.count / 2] ^= 1
                try writeFile(file, bytes)
            }
            #expect(try checkpoints.newest()?.path == "\(directory)/step_1")
            #expect(throws: WeightsError.self) { try Checkpoints.verified("\(directory)/step_3") }
            let links = ["latest", "best"].map {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\($0)")
            }
            #expect(links == ["step_3", "step_1"])
        }
    }

    @Test func onlyTheNewestAndTheBestCheckpointsAreKept() throws {
        try withTemporaryDirectory { directory in
            let checkpoints = Checkpoints(directory: directory, keepLast: 2, type: .float32)
            let loop = try Self.loop(AbsentRanks(), tpSize: 1)
            for step in 1...5 {
                _ = try loop.run()
                try checkpoints.save(
                    checkpointContents(loop), name: "step_\(step)", isBest: step == 2, world: AbsentRanks())
            }
            #expect(try listDirectory(directory) == ["best", "latest", "step_2", "step_4", "step_5"])
        }
    }

    @Test func aCheckpointHasTheNamesThatEnginesLoad() throws {
        try withTemporaryDirectory { directory in
            let loop = try Self.loop(AbsentRanks(), tpSize: 1)
            _ = try loop.run()
            try Checkpoints(directory: directory).save(
                checkpointContents(loop), name: "step_1", isBest: false, world: AbsentRanks())
            let file = try SafetensorsFile("\(directory)/latest/model.safetensors")
            let golden = try SafetensorsFile(GoldenRun("llama").path("step_1"))
            #expect(Set(file.tensors.keys) == Set(golden.tensors.keys).union(["d2t", "t2d"]))
            for (name, tensor) in golden.tensors {
                #expect(file.tensors[name]?.shape == tensor.shape && file.tensors[name]?.type == .bfloat16)
            }
            #expect(file.tensors["d2t"]?.type == .int64 && file.tensors["t2d"]?.type == .bool)
            #expect(try file.tensor("t2d").integers().reduce(0, +) == file.tensor("d2t").shape[0])
        }
    }
}

/// What a checkpoint of a run on the golden `llama` is made of.
func checkpointContents(_ loop: TrainingLoop) throws -> Checkpoints.Contents {
    let run = try GoldenRun("llama")
    let target = try ModelConfiguration(
        directory: Fixtures.goldens.appending(path: "targets/\(run.expected.target)").path)
    let known = try SafetensorsFile(run.path("vocab_mapping")).tensor("t2d").integers().map { UInt64($0) }
    return Checkpoints.Contents(
        configuration: try Eagle3Configuration(JSONFile("\(run.directory)/config.json"), target: target),
        parameters: loop.model.draft.parameters, optimizer: loop.optimizer,
        mapping: try .derive(counts: known, draftVocabSize: Int(known.reduce(0, +)), always: []),
        state: CheckpointState(
            step: loop.step, epoch: loop.epoch, updates: loop.optimizer.updates, settings: [:], provenance: [:]))
}
