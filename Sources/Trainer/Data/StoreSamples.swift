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
        /// What the store is for.
        var contents = StoreLocation.Contents.samples
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
            cacheDir: request.cacheDir, dataPaths: request.dataPaths, holding: request.contents,
            buildCommand: request.buildCommand)
        let (manifest, target) = (store.manifest, request.targetModelPath)
        let identity = try TargetIdentity(target, ModelConfiguration(directory: target))
        let problem = manifest.settings.mismatch(with: request.wanted) ?? manifest.mismatch(with: identity, at: target)
        if let problem {
            throw StoreError(store.path, "\(problem); build it again with\n  \(request.buildCommand(manifest))")
        }
        if identity.tokenizer == nil {
            Log.line("\(target) has no tokenizer: whether the tokens of \(store.path) are its own can't be checked")
        }
        count = min(request.limit ?? .max, store.count)
        guard count > 0 else { throw StoreError(store.path, "has no sample") }
    }

    /// A sample without its padding, which is neither attended to nor supervised.
    func sample(at index: Int) throws -> Sample { try store.sample(at: index).withoutPadding }

    /// The tokens before the first answer, to which a model would say what follows; empty if there are none.
    func prompt(at index: Int) throws -> [Int32] {
        let sample = try sample(at: index)
        return Array(sample.inputIDs.prefix(sample.lossMask.firstIndex(of: true) ?? 0))
    }

    /// Where a sample's record is.
    func source(at index: Int, key: RecordKey) throws -> RecordSource {
        let source = try store.source(of: index)
        return RecordSource(
            file: store.manifest.files[source.file].path, line: source.line,
            id: String(decoding: source.id, as: UTF8.self), key: key)
    }

    /// The tokens of the longest sample, padding included.
    var longest: Int { (0..<count).map(store.length(of:)).max() ?? 0 }

    /// The key of the digest of all tokens in `identity`, where it is known.
    static let vocabularyKey = "tokens by id"

    /// What tells whether another run saw the same samples, by name: the records and how they were made into samples.
    var identity: [String: String] {
        let files = store.manifest.files.map { $0.digest ?? "" }
        var identity = [
            "records": Digest(of: files.joined(separator: "\n")).hex, "samples": "\(count)",
            "tokens": "\(store.manifest.counts.tokens)",
        ]
        for setting in store.manifest.fingerprint { identity[setting.name] = setting.value }
        identity[Self.vocabularyKey] = store.manifest.tokenizer.vocabulary
        return identity
    }

    /// What the samples' tokens follow from besides the records: tokenizer, template and others.
    var settings: [OptionSetting] {
        store.manifest.fingerprint.map { OptionSetting(name: $0.name, values: [$0.value]) }
    }

    /// What of answers to these prompts stays in the history of further ones.
    var answerHistory: AnswerHistory { store.manifest.answerHistory }

    /// The tokens that end a turn or a text.
    var endTokens: Set<Int32> { store.manifest.specialTokens.ends }

    func vocabularyMapping(draftVocabSize: Int) throws -> VocabularyMapping {
        let mapping = try store.vocabularyMapping(draftVocabSize: draftVocabSize)
        if let note = try mapping.fillingNote(store.tokenCounts()) { Log.line("note: \(note)") }
        return mapping
    }

    /// The vocabulary of a draft that was trained before, and how much of these samples it covers.
    func vocabularyMapping(_ draftToTarget: [Int32]) throws -> VocabularyMapping {
        try VocabularyMapping(draftToTarget: draftToTarget, counts: store.tokenCounts())
    }
}

extension VocabularyMapping {
    /// What is to be known of a vocabulary that is larger than the text needs: most of its head learns nothing.
    func fillingNote(_ counts: [UInt64]) -> String? {
        let unused = unusedCount(counts)
        guard unused > 0 else { return nil }
        return "\(unused) of the draft vocabulary's \(draftVocabSize) tokens never occur among the supervised ones: "
            + "they are special ones, and the lowest ids beside those that do; a smaller "
            + "--draft-vocab-size takes less time"
    }
}

extension StoreSamples.Request {
    /// The settings that the store must have been built with.
    fileprivate var wanted: [OptionSetting] {
        [("--chat-template", chatTemplate), ("--max-length", maxLength?.shown)].compactMap { name, value in
            value.map { OptionSetting(name: name, values: [$0]) }
        }
    }

    /// The command with what was requested, and else with what a known store was built with.
    fileprivate func buildCommand(_ known: StoreManifest?) -> String {
        StoredSettings.command(
            dataPaths: dataPaths, targetModelPath: targetModelPath, cacheDir: cacheDir, known?.settings,
            overriding: wanted + prompts(known))
    }

    /// What makes a store that isn't known one of prompts.
    private func prompts(_ known: StoreManifest?) -> [OptionSetting] {
        contents == .prompts && known == nil ? [OptionSetting(name: "--prompts", values: ["all"])] : []
    }
}
