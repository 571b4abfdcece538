import Shared

/// Target, draft and teacher of a run, loaded and checked against each other and the store.
struct DraftSetup {
    let target: DecoderTargetModel
    let configuration: Eagle3Configuration
    let mapping: VocabularyMapping
    let model: OnlineEagle3
    /// The longest sequence that target and draft can take, drafted tokens included.
    let positions: Int

    /// - Parameters:
    ///   - positions: The longest sequence, in tokens.
    ///   - vocabulary: Whose counts make the draft's vocabulary, if it has none of its own.
    init(
        _ options: TargetOptions, _ draftOptions: DraftOptions, _ cacheOptions: TargetCacheOptions, grid: ProcessGrid,
        positions: Int, seed: Int, vocabulary: StoreSamples
    ) throws {
        let targetConfiguration = try ModelConfiguration(directory: options.targetModelPath)
        let saved = try draftOptions.ckptDir.map { try SavedDraft($0, target: targetConfiguration) }
        configuration = try Eagle3Configuration(draftOptions, target: targetConfiguration)
        for engine in InferenceEngine.allCases {
            let lacking = engine.lackingOptions(of: configuration.shape)
            guard !lacking.isEmpty else { continue }
            Log.warning("\(engine.rawValue) can't serve this draft: it doesn't know \(lacking.joined(separator: ", "))")
        }
        mapping =
            try saved.map { try vocabulary.vocabularyMapping($0.draftToTarget) }
            ?? vocabulary.vocabularyMapping(draftVocabSize: configuration.shape.draftVocabSize)
        let positions = positions + draftOptions.tttLength
        self.positions = positions
        let draft = try configuration.makeDraft(
            positions: positions, freezesHead: draftOptions.freezeLmHead, grid.compute)
        target = try TargetModelRegistry.load(
            options.targetModelPath, communicator: grid.tensorParallel, positions: positions, grid.compute,
            expertParallel: options.expertParallel, layersWait: cacheOptions.isUsed,
            beforeReading: {
                try grid.expectMemory(for: $0, besides: draft.parameters.trainingByteCount(ranks: grid.world.size))
            })
        if let saved {
            try draft.parameters.load(saved.weights)
        } else {
            draft.initialize(seed: UInt64(bitPattern: Int64(seed)))
            if draftOptions.lmHeadInit == .target {
                draft.initializeHead(target, draftToTarget: mapping.draftToTarget)
            }
        }
        model = OnlineEagle3(
            target: target, draft: draft,
            teacher: CompactTeacher(target, draftToTarget: mapping.draftToTarget),
            auxiliaryLayers: configuration.auxiliaryLayers, tttLength: draftOptions.tttLength,
            alignment: draftOptions.lossMaskAlignment,
            cache: try cacheOptions.open(options, configuration.auxiliaryLayers, grid))
        try Self.checkRanksAgree(draft.parameters, grid.world)
    }

    /// Speculative decoding of held-out prompts with the draft.
    func decoding(
        _ samples: StoreSamples, _ limits: HeldOutDecoding.Limits, _ grid: ProcessGrid
    ) -> HeldOutDecoding {
        HeldOutDecoding(
            draft: model.draft, auxiliaryLayers: model.auxiliaryLayers, draftToTarget: mapping.draftToTarget, target,
            samples, limits, positions: positions, grid, in: Workspace(grid.compute))
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

extension Eagle3Configuration {
    /// The draft's configuration that the options ask for.
    init(_ options: DraftOptions, target: ModelConfiguration) throws {
        if let path = options.ckptDir.map(SavedDraft.configurationPath) ?? options.draftModelConfig {
            try self.init(JSONFile(path), target: target)
        } else {
            try self.init(target: target, draftVocabSize: options.draftVocabSize ?? Self.defaultDraftVocabSize)
        }
    }
}
