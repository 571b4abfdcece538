import Shared

/// The draft that options ask for, before anything is loaded.
struct DraftSource {
    let configuration: any DraftConfiguration
    /// The draft to begin with; nil for a new one.
    let saved: SavedDraft?

    /// Refuses options of other architectures, and what the engine that it is for can't serve.
    init(_ options: TargetOptions, _ draftOptions: DraftOptions, registry: DraftRegistry = .standard) throws {
        let target = try ModelConfiguration(directory: options.targetModelPath)
        saved = try draftOptions.ckptDir.map { try SavedDraft($0, target: target, registry) }
        configuration = try saved?.configuration ?? registry.configuration(draftOptions, target: target)
        try configuration.expectOwn(draftOptions.own)
        try draftOptions.checkEngines(target, configuration)
    }
}

/// Target, draft and teacher of a run, loaded and checked against each other and the store.
struct DraftSetup {
    let target: DecoderTargetModel
    let configuration: any DraftConfiguration
    let mapping: VocabularyMapping
    let model: OnlineDraft
    /// The longest sequence that target and draft can take, drafted tokens included.
    let positions: Int

    /// - Parameters:
    ///   - source: The draft that `draftOptions` ask for.
    ///   - positions: The longest sequence, in tokens.
    ///   - settings: Of the run, for the plan of its memory.
    ///   - decoding: How evaluations decode held-out prompts, and the longest sample that has one; nil if none do.
    ///   - vocabulary: Whose counts make the draft's vocabulary, if it has none of its own.
    init(
        _ options: TargetOptions, _ draftOptions: DraftOptions, _ source: DraftSource,
        _ cacheOptions: TargetCacheOptions, grid: ProcessGrid, positions: Int, _ settings: TrainingSettings,
        decoding: (limits: HeldOutDecoding.Limits, longest: Int)? = nil,
        seed: Int, vocabulary: StoreSamples
    ) throws {
        try draftOptions.checkFeatures(source.configuration)
        configuration = source.configuration
        let saved = source.saved
        mapping =
            try saved.map { try vocabulary.vocabularyMapping($0.draftToTarget) }
            ?? vocabulary.vocabularyMapping(draftVocabSize: configuration.draftVocabSize)
        let (longest, targetLayers) = (positions, configuration.targetLayers)
        // What is decoded goes on after the longest prompt.
        let reach = max(longest, decoding.map { limits, longest in limits.reach(longest: longest) } ?? 0)
        let draft = try configuration.makeDraft(
            draftOptions.own, draftOptions.settings(positions: reach), grid.compute)
        let positions = reach + draft.positionsAfterEnd
        self.positions = positions
        target = try TargetModelRegistry.load(
            options.targetModelPath, communicator: grid.tensorParallel, positions: positions, grid.compute,
            expertParallel: options.expertParallel, unpacks: options.unpackTarget, layersWait: cacheOptions.isUsed,
            world: grid.world,
            beforeReading: {
                let (target, ranks) = ($0, grid.world.size)
                try grid.expectMemory(for: target, besides: draft.parameters.trainingByteCount(ranks: ranks))
                // A step has no more sequences than there are.
                let step = min(settings.globalBatchSize, vocabulary.count)
                let batchSize = min(settings.batchSize, TrainingSettings.largestShare(of: step, ranks: ranks))
                let sizes = StepSizes(
                    sequences: batchSize, length: longest, supervised: 1, tpSize: grid.tensorParallel.size)
                let kept = decoding.map { limits, longest in
                    limits.byteCount(
                        longest: longest, positions: positions, target, targetLayers: targetLayers.count, draft)
                }
                grid.warn(
                    of: MemoryPlan(
                        process: Machine.peakResidentBytes, target, targetLayers: targetLayers.count, draft, sizes,
                        ranks: ranks, decoding: kept ?? 0, orthogonalizes: settings.muon != nil, grid.compute))
            })
        if let saved {
            try saved.load(into: draft.parameters, targetPath: options.targetModelPath)
        } else {
            draft.initialize(seed: UInt64(bitPattern: Int64(seed)))
            if draftOptions.lmHeadInit == .target {
                draft.initializeHead(target, draftToTarget: mapping.draftToTarget)
            }
        }
        draft.takeTargetWeights(target, draftToTarget: mapping.draftToTarget)
        model = OnlineDraft(
            target: target, draft: draft,
            teacher: CompactTeacher(target, draftToTarget: mapping.draftToTarget),
            targetLayers: configuration.targetLayers,
            cache: try cacheOptions.open(options, configuration.targetLayers, grid))
        try Self.checkRanksAgree(draft.parameters, grid.world)
    }

    /// Speculative decoding of held-out prompts with the draft.
    func decoding(
        _ samples: StoreSamples, _ limits: HeldOutDecoding.Limits, _ policy: BadSamplePolicy, _ grid: ProcessGrid
    ) throws(OptionsError) -> HeldOutDecoding {
        try HeldOutDecoding(
            draft: model.draft, targetLayers: model.targetLayers, draftToTarget: mapping.draftToTarget, target,
            samples, limits, positions: positions, policy: policy, grid, in: Workspace(grid.compute))
    }

    /// Every rank must begin with the same draft; a rank whose files differ is found here and not in the loss.
    private static func checkRanksAgree(_ parameters: ParameterStore, _ world: any Communicator) throws {
        let digest = parameters.digest
        let own = [Double(digest.high >> 32), Double(digest.high & 0xFFFF_FFFF)]
        let largest = world.max(own)
        let smallest = world.max(own.map { -$0 }).map { -$0 }
        guard largest == smallest else {
            throw RanksDiffer(description: "the draft's first weights differ between ranks")
        }
    }
}

extension DraftRegistry {
    /// The draft's configuration that the options ask for.
    func configuration(_ options: DraftOptions, target: ModelConfiguration) throws -> any DraftConfiguration {
        if let path = options.ckptDir { return try SavedDraft(path, target: target, self).configuration }
        return try configuration(
            path: options.draftModelConfig, options.draftArchitecture, target: target,
            draftVocabSize: options.draftVocabSize, for: options.serveWith)
    }

    /// The configuration in a file; generated if there is none.
    ///
    /// - Throws: `OptionsError` if both a file and an architecture are given, or `JSONError`.
    func configuration(
        path: String?, _ architecture: String?, target: ModelConfiguration, draftVocabSize: Int? = nil,
        for engine: InferenceEngine? = nil
    ) throws -> any DraftConfiguration {
        guard let path else {
            return try generated(architecture, target: target, draftVocabSize: draftVocabSize, for: engine)
        }
        if architecture != nil {
            throw OptionsError.rule("--draft-architecture has no effect beside a config.json, which names its own")
        }
        return try configuration(JSONFile(path), target: target)
    }
}
