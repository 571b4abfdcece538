import Shared

/// What a training run will need: the memory of the rank that needs the most, and the time of a step.
struct TrainingPlan {
    let memory: MemoryPlan
    let time: TimePlan
    /// What the target's features will take on disk; nil without `--target-cache`.
    let cache: CachePlan?
    /// Sequences of a step and tokens of each.
    let sequences: Int
    let length: Int
    private let title: String

    /// Reads `config.json` and the headers of the weights, and nothing else.
    ///
    /// - Parameter compute: What computes here.
    init(
        _ options: PlanCommand.Options, _ compute: Compute, registry: DraftRegistry = .standard
    ) throws {
        let process = Machine.peakResidentBytes
        let (tpSize, ranks) = (options.target.tpSize, options.ranks ?? options.target.tpSize)
        let threads = options.target.numThreads ?? max(1, Machine.availableCPUs / ranks)
        let rank = compute.with(threads: threads)
        let all = compute.with(threads: min(Machine.availableCPUs, ranks * threads))
        let targetConfiguration = try ModelConfiguration(directory: options.target.targetModelPath)
        let configuration = try registry.configuration(options.draft, target: targetConfiguration)
        try configuration.expectOwn(options.draft.own)
        let draft = try configuration.makeDraft(
            options.draft.own, options.draft.settings(positions: options.maxLength), all)
        let positions = options.maxLength + draft.positionsAfterEnd
        let parts = try (0..<tpSize).map { member in
            try TargetModelRegistry.layOut(
                options.target.targetModelPath, communicator: AbsentRanks(rank: member, size: tpSize),
                positions: positions, all, expertParallel: options.target.expertParallel)
        }
        // The rank that has the most.
        let target = parts.dropFirst().reduce(parts[0]) { $1.memory.byteCount > $0.memory.byteCount ? $1 : $0 }
        let sizes = StepSizes(
            sequences: options.batchSize, length: options.maxLength, supervised: Double(options.supervisedShare),
            tpSize: tpSize)
        sequences = options.draftGlobalBatchSize
        length = options.maxLength
        memory = MemoryPlan(
            process: process, target, targetLayers: configuration.targetLayers.count, draft, sizes, ranks: ranks, rank)
        let own = (sequences + ranks - 1) / ranks
        time = TimePlan(
            TimePlan.Job(
                target: target, draft: draft, targetLayers: configuration.targetLayers.count,
                draftVocabSize: configuration.draftVocabSize, sizes: sizes, compute: all, ranks: ranks,
                threads: threads, microBatches: Double(own) / Double(options.batchSize)))
        cache =
            options.cache.isUsed
            ? CachePlan(
                options.cache.targetCacheDtype, limit: options.cache.limit,
                targetLayers: configuration.targetLayers.count,
                hiddenSize: targetConfiguration.hiddenSize) : nil
        title =
            "\(ranks) rank\(ranks == 1 ? "" : "s"), \(threads) thread\(threads == 1 ? "" : "s") each, tensor parallel "
            + "\(tpSize), \(compute.precision)"
    }

    private func tokensPerSecond(_ seconds: Double) -> Double { Double(sequences * length) / seconds }

    var text: String {
        let row = { (name: String, value: String) in
            let dots = String(repeating: " ", count: max(1, 28 - name.count))
            return "  \(name)\(dots)\(String(repeating: " ", count: max(0, 10 - value.count)))\(value)"
        }
        let megabytes = { (bytes: Int) in fixed(Double(bytes) / 1e6, 1) }
        let lines =
            [title, "memory of a rank, MB"] + memory.parts.map { row($0.name, megabytes($0.bytes)) }
            + [row("all", megabytes(memory.bytes)), "a step of \(sequences) sequences of \(length) tokens, seconds"]
            + time.parts.map { row($0.name, fixed($0.seconds, 3)) }
            + [row("all", fixed(time.seconds, 3)), row("tokens/s", fixed(tokensPerSecond(time.seconds), 1))]
        guard let cache else { return lines.joined(separator: "\n") }
        let cached =
            ["a step whose features are all in --target-cache, seconds"]
            + time.partsFromCache.map { row($0.name, fixed($0.seconds, 3)) }
            + [
                row("all", fixed(time.secondsFromCache, 3)),
                row("tokens/s", fixed(tokensPerSecond(time.secondsFromCache), 1)),
                "features in --target-cache, before compression",
                row("bytes a token", "\(cache.bytesPerToken)"),
                row("tokens that fit", grouped(cache.capacity)),
            ]
        return (lines + cached).joined(separator: "\n")
    }

    var json: JSONText {
        let cached = cache.map { cache -> [(String, JSONText)] in
            [
                ("cached_step_seconds", .number(time.secondsFromCache)),
                ("cached_seconds", .object(time.partsFromCache.map { ($0.name, .number($0.seconds)) })),
                ("cached_tokens_per_second", .number(tokensPerSecond(time.secondsFromCache))),
                ("cache_bytes_per_token", .int(cache.bytesPerToken)), ("cache_capacity_tokens", .int(cache.capacity)),
            ]
        }
        return .object(
            [
                ("memory_bytes", .int(memory.bytes)),
                ("memory", .object(memory.parts.map { ($0.name, .int($0.bytes)) })),
                ("step_seconds", .number(time.seconds)),
                ("seconds", .object(time.parts.map { ($0.name, .number($0.seconds)) })),
                ("tokens_per_second", .number(tokensPerSecond(time.seconds))),
            ] + (cached ?? []))
    }
}
