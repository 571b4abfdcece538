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

        /// The name of the digest of what writes and marks conversations.
        public static let templateDigest = "chat template digest"
        static let tokenizerDigest = "tokenizer digest"
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
    /// Of a store of prompts: what stays of each answer and its prompt in the history of further ones.
    public var answerHistory = AnswerHistory.whole
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
            Setting("vocabulary size", "\(vocabSize)"), Setting(Setting.tokenizerDigest, tokenizer.digest),
            Setting("special tokens", tokens.joined(separator: ", ")),
        ]
    }

    /// What another fingerprint changes, one "name: old -> new" each: options and their values as a user writes them.
    public func changes(to other: StoreManifest) -> [String] {
        Self.differences(fingerprint, other.fingerprint).flatMap { change in
            switch change.name {
            case Setting.templateDigest: templateChanges(to: other)
            case Setting.tokenizerDigest: tokenizer.changedFiles(in: other.tokenizer).map { "\($0) has changed" }
            default: [change.shown]
            }
        }
    }

    /// What makes conversations' text another one: the options that say so, or that what they name has changed.
    private func templateChanges(to other: StoreManifest) -> [String] {
        func options(_ manifest: StoreManifest) -> [Setting] {
            manifest.settings.known.template.given.map { Setting($0.name, $0.shown) }
        }
        let changes = Self.differences(options(self), options(other))
        guard changes.isEmpty else { return changes.map(\.shown) }
        return ["the chat template of --chat-template \(settings.known.template.chatTemplate) has changed"]
    }

    private struct Change {
        let name: String
        let old: String?
        let new: String?
        var shown: String {
            "\(name): \(old ?? OptionSetting.absent(beside: new)) -> \(new ?? OptionSetting.absent(beside: old))"
        }
    }

    private static func differences(_ old: [Setting], _ new: [Setting]) -> [Change] {
        func value(_ name: String, in settings: [Setting]) -> String? { settings.first { $0.name == name }?.value }
        let names = old.map(\.name) + new.map(\.name).filter { value($0, in: old) == nil }
        return names.map { Change(name: $0, old: value($0, in: old), new: value($0, in: new)) }
            .filter { $0.old != $0.new }
    }
}
