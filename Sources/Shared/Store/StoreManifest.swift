/// Everything that shaped a store, and what is in it.
public struct StoreManifest: Equatable, Sendable {
    /// The version of Documentation/StoreFormat.md that the store follows.
    public static let formatVersion = 3

    public enum State: String, Sendable { case building, complete }

    /// A file of the dataset, as it was when the store was built.
    public struct DataFile: Equatable, Sendable {
        /// Absolute.
        public var path: String
        public var status: FileStatus
        /// Of the whole contents; nil while the store is being built.
        public var digest: String?
        /// Whether what is appended to the file is new records, and those before stay what they are: it has a record on
        /// each line, and the last line has its end.
        public var isAppendable = false

        public init(path: String, status: FileStatus, digest: String? = nil) {
            self.path = path
            self.status = status
            self.digest = digest
        }
    }

    /// What is known of a file when it was read to its end.
    public struct FileEnd: Equatable, Sendable {
        public var digest: Digest
        public var isAppendable: Bool

        public init(digest: Digest, isAppendable: Bool = false) {
            self.digest = digest
            self.isAppendable = isAppendable
        }
    }

    /// A name and a value that samples depend on: another value needs another build.
    public struct Setting: Equatable, Sendable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public var state = State.building
    /// The program that built it, for people: a newer one uses the same store as long as the settings are the same.
    public var programVersion = Eyrie.version
    public var files: [DataFile]
    /// The directory of the model whose tokenizer was used, for people: another one with the same tokenizer will do.
    public var targetModelPath = ""
    /// The options that it was built with.
    public var settings: StoredSettings
    /// What else shapes samples: digests of what options name, ids of tokens, versions of programs.
    public var derived: [Setting]
    /// One more than the largest token id.
    public var vocabSize: Int
    /// The tokenizer whose ids the tokens are.
    public var tokenizer: TokenizerIdentity
    /// Tokens that begin and end texts and turns: vocabulary mappings always include them.
    public var specialTokens: [SpecialToken]
    /// Sizes of the draft vocabularies whose mappings are in the store, ascending.
    public var draftVocabSizes: [Int] = []
    public var layout: StoreLayout
    public var counts = StoreCounts()

    public init(
        files: [DataFile], settings: BuildSettings = BuildSettings(), derived: [Setting] = [], vocabSize: Int,
        tokenizer: TokenizerIdentity = TokenizerIdentity(files: [:], vocabulary: nil), specialTokens: [SpecialToken],
        layout: StoreLayout = StoreLayout()
    ) {
        self.files = files
        self.settings = StoredSettings(settings)
        self.derived = derived
        self.tokenizer = tokenizer
        self.vocabSize = vocabSize
        self.specialTokens = specialTokens
        self.layout = layout
    }

    public static func == (a: StoreManifest, b: StoreManifest) -> Bool { a.json.compact == b.json.compact }

    /// Everything that samples depend on besides the dataset's files, for people.
    public var described: [Setting] {
        settings.given.map { Setting($0.name, $0.shown) } + derived + identity
    }

    /// What must be the same for a store to be used: settings, tokens, layout and format, without the dataset's files.
    ///
    /// How an option is spelt doesn't matter where what it names has a digest.
    public var fingerprint: [Setting] {
        [Setting("store format", "\(Self.formatVersion)")]
            + settings.compared.map { Setting($0.name, $0.shown) } + derived + identity + layout.settings
    }

    private var identity: [Setting] {
        let tokens = specialTokens.map { "\($0.kind.rawValue) \($0.id) \($0.name)" }
        return [
            Setting("vocabulary size", "\(vocabSize)"), Setting("tokenizer digest", tokenizer.digest),
            Setting("special tokens", tokens.joined(separator: ", ")),
        ]
    }

    /// What another fingerprint changes, one "name: old -> new" each.
    public func changes(to other: StoreManifest) -> [String] {
        let names =
            fingerprint.map(\.name) + other.fingerprint.map(\.name).filter { setting($0, in: fingerprint) == nil }
        return names.compactMap { name in
            let (old, new) = (setting(name, in: fingerprint), setting(name, in: other.fingerprint))
            return old == new ? nil : "\(name): \(old ?? "none") -> \(new ?? "none")"
        }
    }

    private func setting(_ name: String, in settings: [Setting]) -> String? {
        settings.first { $0.name == name }?.value
    }
}
