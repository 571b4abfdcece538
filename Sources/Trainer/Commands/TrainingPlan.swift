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
    /// Of the data; nil if the command doesn't say.
    private let samples: Int?
    /// What a pass over the data may come to; nil if nothing is known.
    let expected: ExpectedAcceptance?
    /// Empty for this machine.
    let hosts: [Host]
    private let title: String
    /// Whether Muon updates weights.
    private let orthogonalizes: Bool
    /// Whether the target's weights are there, so that their names and shapes were checked.
    private let hasWeights: Bool

    /// Tokens of the largest micro batch that is planned, which takes memory for each.
    private static let mostRows = 1 << 24

    /// Reads `config.json` and, where there are any, the headers of the weights, and nothing else.
    ///
    /// - Parameter compute: What computes here.
    init(
        _ options: PlanCommand.Options, _ compute: Compute, registry: DraftRegistry = .standard
    ) throws {
        let process = Machine.peakResidentBytes
        let hosts = try PlannedHosts.read(options.hosts)
        let tpSize = options.target.tpSize
        let ranks = hosts.isEmpty ? options.ranks ?? tpSize : hosts.reduce(0) { $0 + $1.count * $1.ranks }
        guard ranks.isMultiple(of: tpSize) else {
            throw OptionsError.rule("--hosts have \(ranks) ranks, should be a multiple of --tp-size \(tpSize)")
        }
        guard hosts.isEmpty || compute.precision == options.target.dtype else {
            throw OptionsError.rule(
                "--dtype \(options.target.dtype): parts of a step are run here, and this CPU hasn't it")
        }
        let cores = max(1, CPUTopology.allowed.cores)
        let threads = hosts.map(\.threads).max() ?? options.target.numThreads ?? max(1, cores / ranks)
        let rank = compute.with(threads: threads)
        let all = compute.with(threads: hosts.isEmpty ? min(cores, ranks * threads) : compute.threads)
        hasWeights = try WeightDirectory.isThere(options.target.targetModelPath)
        let targetConfiguration = try ModelConfiguration(directory: options.target.targetModelPath)
        let configuration = try registry.configuration(options.draft, target: targetConfiguration)
        try configuration.expectOwn(options.draft.own)
        try options.draft.checkEngines(targetConfiguration, configuration)
        try options.preset.fill(
            options, options.draft, samples: options.samples, groups: ranks / tpSize, configuration, steps: { nil })
        try options.draft.checkFeatures(configuration)
        let reach = max(options.maxLength, options.decoding.reach(longest: options.maxLength))
        let draft = try configuration.makeDraft(options.draft.own, options.draft.settings(positions: reach), all)
        if options.evalMaxSamples > 0 { try options.decoding.expectDraftable(by: draft) }
        let positions = reach + draft.positionsAfterEnd
        let parts = try (0..<tpSize).map { member in
            try TargetModelRegistry.layOut(
                options.target.targetModelPath, communicator: AbsentRanks(rank: member, size: tpSize),
                positions: positions, all, expertParallel: options.target.expertParallel,
                unpacks: options.target.unpackTarget)
        }
        // The rank that has the most.
        let target = parts.dropFirst().reduce(parts[0]) { $1.memory.byteCount > $0.memory.byteCount ? $1 : $0 }
        let own = TrainingSettings.largestShare(of: options.draftGlobalBatchSize, ranks: ranks)
        let batchSize = min(options.batchSize, own)
        guard batchSize * options.maxLength <= Self.mostRows else {
            throw OptionsError.rule(
                "\(batchSize) sequences of \(options.maxLength) tokens at a time are more than can be planned, "
                    + "\(Self.mostRows) tokens: a smaller --batch-size has the same result in less memory")
        }
        let sizes = StepSizes(
            sequences: batchSize, length: options.maxLength, supervised: Double(options.supervisedShare),
            tpSize: tpSize)
        sequences = options.draftGlobalBatchSize
        length = options.maxLength
        orthogonalizes = options.optimizer == .muon
        samples = options.samples
        expected = options.samples.flatMap {
            ExpectedAcceptance(
                type(of: configuration).publishedRuns,
                tokens: Double($0) * Double(options.maxLength) * Double(options.supervisedShare))
        }
        let targetLayers = configuration.targetLayers.count
        memory = MemoryPlan(
            process: process, target, targetLayers: targetLayers, draft, sizes, ranks: ranks,
            decoding: options.decoding.byteCount(
                longest: options.maxLength, positions: positions, target, targetLayers: targetLayers, draft),
            orthogonalizes: orthogonalizes, rank)
        let sample = try TimePlan.Sample(
            TimePlan.Job(
                target: target, draft: draft, targetLayers: targetLayers,
                draftVocabSize: configuration.draftVocabSize, orthogonalizes: orthogonalizes, sizes: sizes,
                compute: all, ranks: ranks,
                microBatches: Double(own) / Double(batchSize)))
        if hosts.isEmpty {
            (time, self.hosts) = (TimePlan(sample, sample.pace(threads: threads)), [])
        } else {
            let here = try MachineRates.measure(ProcessGrid(world: AbsentRanks(), tpSize: 1, all)) {
                try Interrupt.check()
            }
            let needed = memory.bytes
            let planned = try hosts.map { host in
                let pace = try host.pace(beside: here, all.precision, exchange: sample.exchange)
                return Host(host: host, time: TimePlan(sample, pace), needed: host.ranks * needed)
            }
            // Every rank has as much to do, so the slowest hosts' time is that of all.
            time = planned.dropFirst().reduce(planned[0].time) { $1.time.seconds > $0.seconds ? $1.time : $0 }
            self.hosts = planned
        }
        let threadCounts = Set(hosts.map(\.threads)).sorted()
        let shown = threadCounts.isEmpty ? "\(threads)" : threadCounts.map(String.init).joined(separator: " or ")
        cache =
            options.cache.isUsed
            ? CachePlan(
                options.cache.targetCacheDtype, limit: options.cache.limit,
                targetLayers: configuration.targetLayers.count,
                hiddenSize: targetConfiguration.hiddenSize) : nil
        title =
            "\(ranks) rank\(ranks == 1 ? "" : "s"), \(shown) thread\(shown == "1" ? "" : "s") each, tensor parallel "
            + "\(tpSize), \(compute.precision)"
    }

    /// Hosts that are planned for, and what they need.
    struct Host {
        let host: PlannedHosts
        let time: TimePlan
        /// Bytes of all ranks of one of them.
        let needed: Int

        /// Whether it has as much; nil where nobody said what it has.
        var isEnough: Bool? { host.memory.map { $0 >= needed } }

        fileprivate var line: String {
            let gigabytes = { (bytes: Int) in "\(fixed(Double(bytes) / 1e9, 1)) GB" }
            let has = host.memory.map { ", has \(gigabytes($0))\(isEnough == true ? "" : ": TOO LITTLE")" } ?? ""
            return
                "  \(host.count) x \(host.ranks) rank\(host.ranks == 1 ? "" : "s") of \(host.threads) threads: a host "
                + "needs \(gigabytes(needed))\(has); a step takes \(fixed(time.seconds, 3)) s"
                + (host.rates == nil ? ", thread by thread as here" : "")
        }

        fileprivate var json: JSONText {
            .object([
                ("count", .int(host.count)), ("ranks", .int(host.ranks)), ("threads", .int(host.threads)),
                ("needed_bytes", .int(needed)), ("memory_bytes", host.memory.map(JSONText.int) ?? .null),
                ("is_enough", isEnough.map(JSONText.bool) ?? .null), ("step_seconds", .number(time.seconds)),
            ])
        }
    }

    private func tokensPerSecond(_ seconds: Double) -> Double { Double(sequences * length) / seconds }

    var text: String {
        let row = { (name: String, value: String) in
            let dots = String(repeating: " ", count: max(1, 28 - name.count))
            return "  \(name)\(dots)\(String(repeating: " ", count: max(0, 10 - value.count)))\(value)"
        }
        let megabytes = { (bytes: Int) in fixed(Double(bytes) / 1e6, 1) }
        let lines =
            [title] + (hasWeights ? [] : ["there are no weights: planned from config.json alone"])
            + ["memory of a rank, MB"] + memory.parts.map { row($0.name, megabytes($0.bytes)) }
            + [row("all", megabytes(memory.bytes))] + (hosts.isEmpty ? [] : ["hosts"] + hosts.map(\.line))
            + ["a step of \(sequences) sequences of \(length) tokens, seconds"]
            + time.parts.map { row($0.name, fixed($0.seconds, 3)) }
            + [row("all", fixed(time.seconds, 3)), row("tokens/s", fixed(tokensPerSecond(time.seconds), 1))]
            + (OptimizerShare.note(time.share(of: "optimizer"), orthogonalizes: orthogonalizes).map { ["note: \($0)"] }
                ?? []) + passLines
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

    /// Seconds of a pass over the data.
    private var passSeconds: Double? {
        samples.map { Double($0) / Double(sequences) * time.seconds }
    }

    private var passLines: [String] {
        guard let samples, let passSeconds else { return [] }
        let length = "a pass over \(grouped(samples)) such sequences takes \(shortTime(passSeconds))"
        guard let expected else { return [length] }
        let (low, high) = (fixed(expected.low, 2), fixed(expected.high, 2))
        let range =
            switch expected.bound {
            case .within: "\(low) to \(high)"
            case .below: "less than \(high)"
            case .above: "at least \(low)"
            }
        return [
            length,
            "of five drafted tokens \(range) may then be accepted a verification: so it was of SmolLM2-135M's own answers "
                + "(Recipe); other targets weren't measured",
        ]
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
                ("weights", .string(hasWeights ? "checked" : "absent")), ("memory_bytes", .int(memory.bytes)),
                ("memory", .object(memory.parts.map { ($0.name, .int($0.bytes)) })),
                ("step_seconds", .number(time.seconds)),
                ("seconds", .object(time.parts.map { ($0.name, .number($0.seconds)) })),
                ("tokens_per_second", .number(tokensPerSecond(time.seconds))),
                ("hosts", .array(hosts.map(\.json))), ("pass_seconds", passSeconds.map(JSONText.number) ?? .null),
                (
                    "expected_acceptance",
                    expected.map {
                        .object([
                            ("low", $0.bound == .below ? .null : .number($0.low)),
                            ("high", $0.bound == .above ? .null : .number($0.high)),
                        ])
                    } ?? .null
                ),
            ] + (cached ?? []))
    }
}
