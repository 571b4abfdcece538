import Shared

/// The options of `Preprocess build`.
struct BuildOptions: Options {
    static let summary = "Turns a dataset into a store of samples, or says that it is up to date."

    /// The version of what happens to records: raised when the same dataset and options give other samples.
    static let pipelineVersion = 3
    private static let defaultDraftVocabSize = 32000
    /// How long samples may be: the longest context of any model, and some more.
    static let lengths = 1...1 << 24

    @Option(
        "Records as JSON: lines, arrays or objects in any layout, packed by gzip or zstd or not. Several files make one "
            + "dataset; '*' in quotes stands for all that fit, a directory for its files *.json, *.jsonl and *.ndjson, "
            + "packed or not, and - for standard input.", value: "FILE|DIR|-...")
    var trainDataPath: [String]
    var format = ChatFormatOptions()
    @Flag("Build even if the chat template fails check-template.") var ignoreTemplateCheck
    var cache = CacheOption()
    @Option("The most tokens of a sample.", in: lengths) var maxLength = 2048
    @Option("Longer samples are cut off at the most tokens, rejected, or become several samples.")
    var overflow = Overflow.truncate
    @Option("Texts of tokens that are never supervised.", value: "TOKEN...") var ignoreToken: [String] = []
    @Option(
        "Sizes of the draft vocabularies whose mappings the store gets (default 32000, or the target's if that is less).",
        value: "INT...", in: ModelConfiguration.vocabSizes)
    var draftVocabSize: [Int] = []
    @Flag("Records have a string 'text' that is in the model's own format already.") var isPreformatted
    @Option(
        "Names of roles that the data have besides the known ones, and the role that each is: system, user, assistant, "
            + "tool or tool_call.", value: "NAME=ROLE...")
    var roleMap: [String] = []
    @Flag("Only the assistant's last turn is supervised.") var trainOnlyLastTurn
    @Flag("Each of the assistant's turns is a sample of its own, with what stands before it.") var rowPerTurn
    @Option(
        "The fewest supervised tokens of a sample that is kept; 0 keeps also what has no answer.",
        in: 0...lengths.upperBound)
    var minLossTokens = 1
    @Option(
        "The largest record, in MiB; memory grows with it, and a larger one is rejected.", value: "MIB", in: 1...1024)
    var maxRecordSize = DatasetReader.defaultLargestRecord >> 20
    @Option("Worker threads (default: one for each CPU).", in: 1...1024) var numThreads: Int?
    @Flag("Build from the start, even if the store is up to date or half done.") var force
    @Flag("Write the final report as one JSON object.") var json

    func validate() throws(OptionsError) {
        _ = try RoleNames(roleMap)
        if minLossTokens > maxLength {
            throw .rule("--min-loss-tokens is \(minLossTokens), should be at most --max-length, \(maxLength)")
        }
        if rowPerTurn && isPreformatted { throw .rule("--row-per-turn can't be combined with --is-preformatted") }
    }

    /// Puts files in place of standard input and pipes, and reports what is left out of directories.
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

    /// What a store built with these options would say of itself, but for its counts.
    func manifest(_ target: TargetText, _ format: ChatFormat) throws -> StoreManifest {
        let ignored = try ignoredTokens(target).sorted().map(String.init).joined(separator: " ")
        let special = target.specialTokens.map { "\($0.name) \($0.id)" }.joined(separator: ", ")
        var manifest = StoreManifest(
            files: try StoreLocation.files(trainDataPath),
            settings: [
                .init(StoreSetting.chatTemplate, self.format.chatTemplate),
                .init("chat template digest", format.digest.hex),
                .init("tokenizer digest", target.tokenizer.digest.hex),
                .init("vocabulary", "\(target.vocabSize)"), .init("special tokens", special),
                .init(StoreSetting.maxLength, "\(maxLength)"), .init("preformatted", isPreformatted ? "yes" : "no"),
                .init(StoreSetting.roleMap, try RoleNames(roleMap).told.joined(separator: " ")),
                .init("train only last turn", trainOnlyLastTurn ? "yes" : "no"),
                .init("row per turn", rowPerTurn ? "yes" : "no"),
                .init("min loss tokens", "\(minLossTokens)"), .init(StoreSetting.overflow, overflow.rawValue),
                .init("max record size", "\(maxRecordSize) MiB"),
                .init("ignored tokens", ignored.isEmpty ? "none" : ignored),
                .init("pipeline", "\(Self.pipelineVersion)"),
            ], vocabSize: target.vocabSize, specialTokens: target.specialTokens)
        manifest.targetModelPath = absolutePath(self.format.targetModelPath)
        return manifest
    }

    /// The ids of the tokens that are never supervised.
    func ignoredTokens(_ target: TargetText) throws(OptionsError) -> Set<Int32> {
        var ids: Set<Int32> = []
        for text in ignoreToken {
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
        guard !draftVocabSize.isEmpty else { return [min(Self.defaultDraftVocabSize, target.vocabSize)] }
        let smallest = max(1, Set(target.specialTokens.map(\.id)).count)
        if let size = draftVocabSize.first(where: { !(smallest...target.vocabSize).contains($0) }) {
            throw .rule(
                "--draft-vocab-size is \(size), should be \(smallest), for the tokens that are always in it, to the "
                    + "target's vocabulary, \(target.vocabSize)")
        }
        return Set(draftVocabSize).sorted()
    }
}
