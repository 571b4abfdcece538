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

    /// An option or a file's digest that shapes samples: another value needs another build.
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
    public var settings: [Setting]
    /// One more than the largest token id.
    public var vocabSize: Int
    /// Tokens that begin and end texts and turns, by name: vocabulary mappings always include them.
    public var specialTokens: [(name: String, id: Int32)]
    /// Sizes of the draft vocabularies whose mappings are in the store, ascending.
    public var draftVocabSizes: [Int] = []
    public var layout: StoreLayout
    public var counts = StoreCounts()

    public init(
        files: [DataFile], settings: [Setting], vocabSize: Int, specialTokens: [(name: String, id: Int32)],
        layout: StoreLayout = StoreLayout()
    ) {
        self.files = files
        self.settings = settings
        self.vocabSize = vocabSize
        self.specialTokens = specialTokens
        self.layout = layout
    }

    public static func == (a: StoreManifest, b: StoreManifest) -> Bool { a.json.compact == b.json.compact }

    public func setting(_ name: String) -> String? { settings.first { $0.name == name }?.value }

    /// What must be the same for a store to be used: settings, layout and format, without the dataset's files.
    public var fingerprint: [Setting] {
        [Setting("store format", "\(Self.formatVersion)")] + settings + layout.settings
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
