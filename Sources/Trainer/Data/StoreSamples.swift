import Shared

/// The samples of a store that Preprocess built, checked against what the trainer was asked for.
struct StoreSamples: TrainingSamples {
    private let store: SampleStore
    /// How many samples are used, from the first.
    let count: Int

    /// Opens the store of a dataset.
    ///
    /// - Parameter limit: The most samples to use; nil for all.
    /// - Throws: An error that says what is missing or doesn't fit, and the command that builds what does.
    init(_ paths: [String], _ options: StoreOptions, _ target: TargetOptions, limit: Int? = nil) throws {
        func command(_ known: StoreManifest?) -> String { Self.buildCommand(paths, options, target, known) }
        store = try SampleStore.open(cacheDir: options.cacheDir, dataPaths: paths, buildCommand: command)
        for (name, wanted) in [
            (StoreSetting.chatTemplate, options.chatTemplate), (StoreSetting.maxLength, options.maxLength?.shown),
        ] {
            guard let wanted, let built = store.manifest.setting(name), built != wanted else { continue }
            throw StoreError(
                store.path,
                "was built with \(name) \(built), not \(wanted); build it again with\n  \(command(store.manifest))")
        }
        try Self.check(store, against: ModelConfiguration(directory: target.targetModelPath))
        count = min(limit ?? .max, store.count)
        guard count > 0 else { throw StoreError(store.path, "has no sample") }
    }

    func sample(at index: Int) throws -> Sample { try store.sample(at: index) }

    /// The tokens of the longest sample.
    var longest: Int { (0..<count).map(store.length(of:)).max() ?? 0 }

    /// What tells whether another run saw the same samples, by name: the records and how they were made into samples.
    var identity: [String: String] {
        let files = store.manifest.files.map { $0.digest ?? "" }
        var identity = [
            "records": Digest(of: files.joined(separator: "\n")).hex, "samples": "\(count)",
            "tokens": "\(store.manifest.counts.tokens)",
        ]
        for setting in store.manifest.fingerprint { identity[setting.name] = setting.value }
        return identity
    }

    /// The tokens that end a turn or a text.
    var endTokens: Set<Int32> {
        Set(store.manifest.specialTokens.filter { $0.name.contains("eos") || $0.name.contains("end") }.map(\.id))
    }

    func vocabularyMapping(draftVocabSize: Int) throws -> VocabularyMapping {
        try store.vocabularyMapping(draftVocabSize: draftVocabSize)
    }

    /// The vocabulary of a draft that was trained before, and how much of these samples it covers.
    func vocabularyMapping(_ draftToTarget: [Int32]) throws -> VocabularyMapping {
        try VocabularyMapping(draftToTarget: draftToTarget, counts: store.tokenCounts())
    }

    /// - Throws: `StoreError` if the store's tokens aren't the target's.
    private static func check(_ store: SampleStore, against target: ModelConfiguration) throws(StoreError) {
        guard store.manifest.vocabSize == target.vocabSize else {
            throw StoreError(
                store.path,
                "was built for a vocabulary of \(store.manifest.vocabSize), the target's is \(target.vocabSize): "
                    + "build it with the target's own --target-model-path")
        }
    }

    /// The command with what the trainer was asked for, and else with what a known store was built with.
    private static func buildCommand(
        _ paths: [String], _ options: StoreOptions, _ target: TargetOptions, _ known: StoreManifest?
    ) -> String {
        var words = ["Preprocess", "build", "--train-data-path"] + paths
        words += ["--target-model-path", target.targetModelPath, "--cache-dir", options.cacheDir]
        for (name, value) in [
            ("--chat-template", options.chatTemplate ?? known?.setting(StoreSetting.chatTemplate)),
            ("--max-length", options.maxLength?.shown ?? known?.setting(StoreSetting.maxLength)),
            ("--overflow", known?.setting(StoreSetting.overflow)),
        ] {
            if let value { words += [name, value] }
        }
        return words.map(shellQuoted).joined(separator: " ")
    }
}
