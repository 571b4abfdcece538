import Shared

/// Where the target's features are kept.
struct TargetCacheOptions: Options {
    @Option(
        "Keep the target's features in this directory, on a local disk, and compute only what isn't there.",
        value: "DIR")
    var targetCache: String?
    @Option("The largest that a target's file in --target-cache gets, in GB.", in: 0.001...1_000_000)
    var targetCacheSize: Float = 100
    @Option("What the target's features are rounded to with --target-cache: to half the room, or not at all.")
    var targetCacheDtype: FeatureRecord.NumberType = .bfloat16

    func validate() throws(OptionsError) {
        if !isUsed, let option = changed.first { throw .rule("\(option.name) has no effect without --target-cache") }
    }

    var isUsed: Bool { targetCache != nil }

    /// The largest that a target's file gets, in bytes.
    var limit: Int { Int((1e3 * targetCacheSize).rounded()) * 1_000_000 }

    /// What of it a run's results depend on.
    var fixedSetting: String {
        let type = isUsed ? targetCacheDtype : .float32
        return type == .float32 ? "float32" : "\(type.shown) (--target-cache-dtype)"
    }

    /// The cache that is asked for.
    ///
    /// Collective: call on all ranks.
    func open(_ options: TargetOptions, _ targetLayers: [Int], _ grid: ProcessGrid) throws -> TargetCache? {
        guard let targetCache else { return nil }
        // One rank reads the weights for their digest, the others get it.
        var words: [UInt64] = [0, 0, 0, 0]
        try grid.world.onFirstRank { beat in
            let digest = try TargetCache.identity(
                targetModelPath: options.targetModelPath, targetLayers: targetLayers, type: targetCacheDtype,
                grid.compute, check: beat)
            words = [digest.high >> 32, digest.high & 0xFFFF_FFFF, digest.low >> 32, digest.low & 0xFFFF_FFFF]
        }
        let sums = grid.world.sum(words.map { Double($0) }).map { UInt64($0) }
        let cache = try TargetCache(
            directory: targetCache, identity: Digest(high: sums[0] << 32 | sums[1], low: sums[2] << 32 | sums[3]),
            type: targetCacheDtype, limit: limit)
        Log.line("target cache: \(cache.path)")
        return cache
    }
}
