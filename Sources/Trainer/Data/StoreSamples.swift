import Shared

/// The samples of a store that Preprocess built, checked against what the trainer was asked for.
struct StoreSamples: TrainingSamples {
    private let store: SampleStore
    /// How many samples are used, from the first.
    let count: Int

    /// Which store is wanted.
    struct Request {
        var dataPaths: [String]
        /// The directory of the stores.
        var cacheDir: String
        /// What the store must have been built with; nil for any.
        var chatTemplate: String?
        var maxLength: Int?
        /// The target whose tokens the store must have.
        var targetModelPath: String
        /// The most samples to use; nil for all.
        var limit: Int?
    }

    /// Opens the store of a dataset.
    ///
    /// - Throws: An error that says what is missing or doesn't fit, and the command that builds what does.
    init(_ request: Request) throws {
        store = try SampleStore.open(
            cacheDir: request.cacheDir, dataPaths: request.dataPaths, buildCommand: request.buildCommand)
        for (name, wanted) in [
            (StoreSetting.chatTemplate, request.chatTemplate), (StoreSetting.maxLength, request.maxLength?.shown),
        ] {
            guard let wanted, let built = store.manifest.setting(name), built != wanted else { continue }
            throw StoreError(
                store.path,
                "was built with \(name) \(built), not \(wanted); build it again with\n  "
                    + request.buildCommand(store.manifest))
        }
        try Self.check(store, against: ModelConfiguration(directory: request.targetModelPath))
        count = min(request.limit ?? .max, store.count)
        guard count > 0 else { throw StoreError(store.path, "has no sample") }
    }

    /// A sample without its padding, which is neither attended to nor supervised.
    func sample(at index: Int) throws -> Sample { try store.sample(at: index).withoutPadding }

    /// The tokens of the longest sample, padding included.
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
}

extension StoreSamples.Request {
    /// The command with what was requested, and else with what a known store was built with.
    fileprivate func buildCommand(_ known: StoreManifest?) -> String {
        var words = ["Preprocess", "build", "--train-data-path"] + dataPaths
        words += ["--target-model-path", targetModelPath, "--cache-dir", cacheDir]
        for (name, value) in [
            ("--chat-template", chatTemplate ?? known?.setting(StoreSetting.chatTemplate)),
            ("--max-length", maxLength?.shown ?? known?.setting(StoreSetting.maxLength)),
            ("--overflow", known?.setting(StoreSetting.overflow)),
        ] {
            if let value { words += [name, value] }
        }
        return words.map(shellQuoted).joined(separator: " ")
    }
}
