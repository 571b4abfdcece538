import Shared

/// The options of `Preprocess build`.
struct BuildOptions: Options {
    static let summary = "Turns a dataset into a store of samples, or reports that it is up to date."

    private static let defaultDraftVocabSize = 32000

    @Option(
        "Records as JSON: lines, arrays or objects in any layout, packed by gzip or zstd or not. Several files make one "
            + "dataset; '*' in quotes stands for all that fit, a directory for its files *.json, *.jsonl and *.ndjson, "
            + "packed or not, and - for standard input.", value: "FILE|DIR|-...")
    var trainDataPath: [String]
    @Option("The target model: a directory with tokenizer.json and config.json, or a GGUF file.", value: "DIR|GGUF")
    var targetModelPath: String
    var cache = CacheOption()
    var settings = BuildSettings()
    @Option("Worker threads (default: one for each CPU).", in: 1...1024) var numThreads: Int?
    @Flag("Build from the start, even if the store is up to date or half done.") var force
    @Flag("Write the final report as one JSON object.") var json

    func validate() throws(OptionsError) {
        _ = try RoleNames(settings.roleMap)
        try settings.validate()
        if settings.reasoning != .save && settings.prompts == nil {
            let value = settings.reasoning.rawValue
            throw .rule("--reasoning \(value) is of answers that are to be made: it needs --prompts")
        }
        if settings.prompts != nil && !settings.draftVocabSize.isEmpty {
            throw .rule("--draft-vocab-size has no effect beside --prompts: nothing is trained on prompts")
        }
    }

    /// Replaces standard input and pipes by files, and reports which files of directories are left out.
    func resolveFiles() throws {
        if try LaunchedRank.current() == nil {
            _trainDataPath.replace(with: try SpooledInput.files(for: trainDataPath, cacheDir: cache.cacheDir))
        } else if trainDataPath.contains("-") {
            throw OptionsError.rule("--train-data-path: several processes can't read standard input; give them a file")
        }
        for path in trainDataPath {
            guard let contents = try? ShardDirectory.contents(of: path), !contents.shards.isEmpty,
                !contents.others.isEmpty
            else { continue }
            let named = contents.others.prefix(5).joined(separator: ", ") + (contents.others.count > 5 ? ", …" : "")
            Log.line("\(path): \(contents.shards.count) files are read, \(contents.others.count) aren't: \(named)")
        }
    }

    /// The manifest of a store built with these options, without its counts.
    func manifest(_ target: TargetText, _ format: ChatFormat) throws -> StoreManifest {
        let ignored = try ignoredTokens(target).sorted().map(String.init).joined(separator: " ")
        var manifest = StoreManifest(
            files: try StoreLocation.files(trainDataPath), settings: settings,
            derived: [
                .init(StoreManifest.Setting.templateDigest, format.digest.hex),
                .init("ignored tokens", ignored.isEmpty ? "none" : ignored),
                .init("pipeline version", "\(PipelineVersion.number)"),
                .init("text libraries", PipelineVersion.libraries),
            ], vocabSize: target.vocabSize, tokenizer: try target.identity(), specialTokens: target.specialTokens)
        manifest.targetModelPath = absolutePath(targetModelPath)
        return manifest
    }

    /// What prompts are made by; nil where samples are.
    var prompts: PromptBuilder.Settings? {
        settings.prompts.map { turns in
            PromptBuilder.Settings(turns: turns, reasoning: settings.reasoning, maxLength: settings.maxLength)
        }
    }

    /// The ids of the tokens that are never supervised.
    func ignoredTokens(_ target: TargetText) throws(OptionsError) -> Set<Int32> {
        var ids: Set<Int32> = []
        for text in settings.ignoreToken {
            guard let id = target.tokenizer.id(of: text) else {
                throw .rule("--ignore-token: '\(text)' is no token of the tokenizer's vocabulary")
            }
            ids.insert(Int32(id))
        }
        return ids
    }

    /// Sizes of the draft vocabularies that a new store gets, ascending.
    /// - Throws: `OptionsError` if the target has no draft vocabulary of a size.
    func draftVocabSizes(_ target: TargetText) throws(OptionsError) -> [Int] {
        // Nothing is trained on prompts.
        guard settings.prompts == nil else { return [] }
        guard !settings.draftVocabSize.isEmpty else { return [min(Self.defaultDraftVocabSize, target.vocabSize)] }
        let smallest = max(1, Set(target.specialTokens.map(\.id)).count)
        if let size = settings.draftVocabSize.first(where: { !(smallest...target.vocabSize).contains($0) }) {
            throw .rule(
                "--draft-vocab-size is \(size), should be \(smallest), for the tokens that are always in it, to the "
                    + "target's vocabulary, \(target.vocabSize)")
        }
        return Set(settings.draftVocabSize).sorted()
    }
}
