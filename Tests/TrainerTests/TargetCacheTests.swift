import Shared
import TestSupport
import Testing

@testable import Trainer

/// Training from kept features is training: the same numbers, whatever of them is in the cache.
struct TargetCacheTests {
    private static func settings(batchSize: Int) -> TrainingSettings {
        TrainingSettings(numEpochs: 2, batchSize: batchSize, globalBatchSize: 4, learningRate: 1e-3, seed: 5)
    }

    private static func cache(
        _ directory: String, _ type: FeatureRecord.NumberType = .bfloat16, limit: Int = 1 << 26
    ) throws -> TargetCache {
        try TargetCache(directory: directory, identity: Digest(of: "target"), type: type, limit: limit)
    }

    /// The losses of all steps, the weights at the end, and what the steps said of this rank's samples.
    private static func train(
        _ world: any Communicator, tpSize: Int = 1, batchSize: Int = 2, cache: TargetCache?
    ) throws -> (losses: [Double], weights: [Float], hits: Int, misses: Int) {
        let run = try GoldenRun("llama")
        let grid = try ProcessGrid(world: world, tpSize: tpSize)
        var model = try run.trainer(grid.tensorParallel)
        model.cache = cache
        let loop = try TrainingLoop(
            grid: grid, model: model, samples: run.samples, settings: settings(batchSize: batchSize))
        var (losses, hits, misses): ([Double], Int, Int) = ([], 0, 0)
        while !loop.isDone {
            let report = try loop.run()
            losses += report.statistics.losses
            hits += report.targetCache?.found ?? 0
            misses += report.targetCache?.computed ?? 0
        }
        return (losses, Array(loop.model.draft.parameters.weights), hits, misses)
    }

    @Test func aSecondRunFindsEverythingAndGivesTheSameNumbers() throws {
        try withTemporaryDirectory { directory in
            let count = try GoldenRun("llama").samples.count
            let cache = try Self.cache(directory)
            let first = try Self.train(AbsentRanks(), cache: cache)
            // Each sequence is computed in the first epoch and found in the second.
            #expect(cache.counts.found == count && cache.counts.computed == count && cache.counts.kept == count)
            #expect(first.hits == count && first.misses == count)
            let second = try Self.train(AbsentRanks(), cache: cache)
            #expect(second.hits == 2 * count && second.misses == 0)
            #expect(cache.counts.found == 3 * count && cache.counts.computed == count)
            #expect(second.losses == first.losses && second.weights == first.weights)
            let without = try Self.train(AbsentRanks(), cache: nil)
            expectClose(
                first.losses.map { Float($0) }, without.losses.map { Float($0) }, tolerance: 5e-3, "bfloat16")
        }
    }

    @Test func keptAsFloat32TheyGiveTheNumbersOfARunWithoutBitForBit() throws {
        try withTemporaryDirectory { directory in
            let without = try Self.train(AbsentRanks(), batchSize: 1, cache: nil)
            let cache = try Self.cache(directory, .float32)
            for _ in 0..<2 {
                let with = try Self.train(AbsentRanks(), batchSize: 1, cache: cache)
                #expect(with.losses == without.losses && with.weights == without.weights)
            }
        }
    }

    @Test(arguments: [(2, 1), (2, 2), (4, 2)])
    func ranksShareACache(ranks: Int, tpSize: Int) throws {
        try withTemporaryDirectory { directory in
            let count = try GoldenRun("llama").samples.count
            let alone = try Self.train(AbsentRanks(), cache: Self.cache("\(directory)/alone"))
            // Threads of a process share what processes open each for itself.
            let cache = try Self.cache("\(directory)/together")
            for _ in 0..<2 {
                let results = try ThreadCommunicator.run(ranks) { world in
                    try Self.train(world, tpSize: tpSize, cache: cache)
                }
                for result in results {
                    expectClose(
                        result.losses.map { Float($0) }, alone.losses.map { Float($0) }, tolerance: 1e-3, "losses")
                    #expect(result.weights == results[0].weights)
                }
            }
            #expect(cache.counts.computed == count && cache.counts.found == 3 * count)
        }
    }

    /// Of a group's sequences one rank has some and another has others: each gets what it hasn't from who has it.
    @Test(arguments: [1, 2, 3])
    func anyPartOfAGroupsSequencesMayBeInTheCache(kept: Int) throws {
        func features(_ cache: TargetCache?, _ counts: [Int]) throws -> [[Float]] {
            try ThreadCommunicator.run(2) { world in
                let run = try GoldenRun("llama")
                let parts = [run.samples[..<counts[0]], run.samples[2..<2 + counts[1]]].map { samples in
                    samples.map { TrainingSequence(sample: $0) }
                }
                let workspace = Workspace()
                let features = try Self.features(run, world, cache).run(parts, in: workspace)
                return features.auxiliary.elements + features.hidden.elements
            }
        }
        try withTemporaryDirectory { directory in
            let expected = try features(nil, [2, 2])
            let cache = try Self.cache(directory, .float32)
            _ = try features(cache, [kept / 2, (kept + 1) / 2])
            #expect(cache.counts.kept == kept)
            let found = try features(cache, [2, 2])
            #expect(cache.counts.found == kept && cache.counts.kept == 4)
            for (found, expected) in zip(found, expected) { expectClose(found, expected, tolerance: 1e-5, "features") }
        }
    }

    private static func features(
        _ run: GoldenRun, _ communicator: any Communicator, _ cache: TargetCache?
    ) throws -> TargetFeatures {
        let model = try run.trainer(communicator)
        return TargetFeatures(target: model.target, targetLayers: model.targetLayers, cache: cache)
    }

    @Test func aHalfFilledOrFullCacheChangesNothing() throws {
        try withTemporaryDirectory { directory in
            let whole = try Self.train(AbsentRanks(), cache: Self.cache("\(directory)/whole"))
            // A limit that a few sequences reach.
            let small = try Self.cache("\(directory)/small", limit: 1 << 20)
            let run = try GoldenRun("llama")
            let features = try Self.features(run, AbsentRanks(), small)
            _ = features.run([run.samples.prefix(3).map { TrainingSequence(sample: $0) }], in: Workspace())
            while small.end == nil {
                let longer = run.samples[0].inputIDs.map { ($0 + Int32(small.counts.computed)) % 256 }
                let sample = Sample(inputIDs: longer, lossMask: run.samples[0].lossMask)
                _ = features.run([[TrainingSequence(sample: sample)]], in: Workspace())
            }
            #expect(small.end?.contains("has reached its limit of 1.05MB (--target-cache-size)") == true)
            let before = small.counts
            let again = try Self.train(AbsentRanks(), cache: small)
            #expect(again.losses == whole.losses && again.weights == whole.weights)
            #expect(small.counts.kept == before.kept && small.counts.found == before.found + 6)
        }
    }

    @Test func layersAreReadWhenTheyFirstRun() throws {
        let directory = Fixtures.folder.appending(path: "targets/llama").path
        let target = try TargetModelRegistry.load(
            directory, communicator: AbsentRanks(), positions: 16, layersWait: true)
        let workspace = Workspace()
        func isRead() -> Bool {
            let row = workspace.matrix(rows: 1, columns: target.configuration.hiddenSize)
            guard case .attention(let attention) = target.layers[0].mixer else { return false }
            attention.qkv.weight.copyRow(0, into: row.start)
            return row.elements.contains { $0 != 0 }
        }
        let x = workspace.matrix(rows: 4, columns: target.configuration.hiddenSize)
        target.embed([1, 2, 3, 4], into: x)
        target.logits(x, into: workspace.matrix(rows: 4, columns: target.vocabulary.count))
        #expect(!isRead() && x.elements.contains { $0 != 0 })
        let rows = DecoderRows(Batch([Sample(inputIDs: [1, 2, 3, 4], lossMask: [false, true, true, true])]))
        target.forward(x, rows, in: workspace) { _, _ in }
        #expect(isRead())
        let other = try TargetModelRegistry.load(directory, communicator: AbsentRanks(), positions: 16)
        let y = workspace.matrix(rows: 4, columns: target.configuration.hiddenSize)
        other.embed([1, 2, 3, 4], into: y)
        other.forward(y, rows, in: workspace) { _, _ in }
        #expect(x.elements == y.elements)
    }

    @Test func targetsAndPrecisionsHaveFilesOfTheirOwn() throws {
        let paths = ["llama", "qwen3"].map { Fixtures.folder.appending(path: "targets/\($0)").path }
        let identities = try [
            TargetCache.identity(targetModelPath: paths[0], targetLayers: [0, 1, 2], type: .bfloat16, .test),
            TargetCache.identity(targetModelPath: paths[1], targetLayers: [0, 1, 2], type: .bfloat16, .test),
            TargetCache.identity(targetModelPath: paths[0], targetLayers: [0, 1, 3], type: .bfloat16, .test),
            TargetCache.identity(targetModelPath: paths[0], targetLayers: [0, 1, 2], type: .float32, .test),
        ]
        #expect(Set(identities).count == identities.count)
        try withTemporaryDirectory { directory in
            let options = try TargetCacheOptions.parse(["--target-cache", directory])
            let target = try TargetOptions.parse(["--target-model-path", paths[0]])
            let opened = try options.open(target, [0, 1, 2], ProcessGrid(world: AbsentRanks(), tpSize: 1))
            #expect(opened?.path == "\(directory)/\(identities[0].hex).features")
        }
    }

    @Test func aDirectoryThatCantBeMadeIsAnError() throws {
        try withTemporaryDirectory { directory in
            try writeFile("\(directory)/file", [])
            #expect(throws: FileError.self) { try Self.cache("\(directory)/file/cache") }
        }
    }
}
