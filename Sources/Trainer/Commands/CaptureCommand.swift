import Shared

/// `Trainer capture`: fills a cache of the target's features before training, as SpecForge's offline mode does.
enum CaptureCommand {
    struct Options: Shared.Options {
        static let summary = "Keeps the target's features of datasets, for training with --target-cache."

        var target = TargetOptions()
        var data = DataOptions()
        var cache = TargetCacheOptions()
        @Option(
            "The draft's config.json, for the layers that it sees; generated from the target if left out.",
            value: "FILE")
        var draftModelConfig: String?
        @Option(DraftOptions.architectureHelp, value: "NAME") var draftArchitecture: String?

        func validate() throws(OptionsError) {
            if !cache.isUsed { throw .missingOption("--target-cache") }
        }
    }

    static let command = Command("capture", Options.self) { options in
        let grid = try Ranks.start(options.target)
        let stores = try [options.data.trainDataPath, options.data.evalDataPath].filter { !$0.isEmpty }.map { paths in
            try options.data.store.open(paths, options.target)
        }
        let targetConfiguration = try ModelConfiguration(directory: options.target.targetModelPath)
        let layers = try DraftRegistry.standard.configuration(
            path: options.draftModelConfig, options.draftArchitecture, target: targetConfiguration
        ).targetLayers
        guard let cache = try options.cache.open(options.target, layers, grid) else { return }
        let target = try TargetModelRegistry.load(
            options.target.targetModelPath, communicator: grid.tensorParallel,
            positions: stores.map(\.longest).max() ?? 1, grid.compute, expertParallel: options.target.expertParallel,
            unpacks: options.target.unpackTarget,
            layersWait: true, world: grid.world, beforeReading: { try grid.expectMemory(for: $0) })
        let features = TargetFeatures(target: target, targetLayers: layers, cache: cache)
        let progress = Progress(
            "capturing", total: Double(stores.reduce(0) { $0 + $1.count }), unit: "samples")
        var done = 0
        for samples in stores {
            try capture(samples, features, cache, options.data.onBadSample, grid) { count in
                done += count
                progress.update(Double(done))
            }
        }
        progress.finish()
        Log.line(cache.summary(grid.world))
        grid.logProfile(options.target)
    }

    /// Keeps the features of all samples of a store.
    ///
    /// - Parameter progress: Called with how many more of the samples are done.
    /// - Throws: `Interrupted`, or `StoreError` if there is no room, on all ranks.
    private static func capture(
        _ samples: StoreSamples, _ features: TargetFeatures, _ cache: TargetCache, _ policy: BadSamplePolicy,
        _ grid: ProcessGrid, progress: (Int) -> Void
    ) throws {
        // Several for each rank, so that long ones and short ones are divided.
        let (count, stepSize) = (samples.count, 8 * grid.world.size)
        let steps = 0..<(count + stepSize - 1) / stepSize
        let reader = BatchReader(
            samples, grid, batchSize: 1, policy: policy, steps: steps,
            cost: { SampleCost(shared: Double($0.inputIDs.count), own: 0) }
        ) { step in
            Array(step * stepSize..<min(count, (step + 1) * stepSize))
        }
        let workspace = Workspace(grid.compute)
        for step in steps {
            let batch = try Profile.measure(.data) { try reader.batch(step) }
            for micro in batch.micro {
                _ = workspace.scope { features.run(micro.sequences, in: workspace) }
                try grid.world.stopIfInterrupted()
                guard !grid.world.any(cache.end != nil) else { throw CacheEnd(reason: cache.end) }
            }
            progress(batch.samples.count + batch.bad.count)
        }
    }

    /// Why a cache couldn't be filled.
    private struct CacheEnd: Error, CustomStringConvertible {
        /// Nil where another rank knows it.
        let reason: String?

        var description: String {
            "\(reason ?? "another rank can't keep features"): what was captured until then is kept, the rest isn't"
        }
    }
}
