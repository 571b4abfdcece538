/// Everything that shaped a store, and what is in it.
public struct StoreManifest: Equatable, Sendable {
    /// The version of Documentation/StoreFormat.md that the store follows.
    public static let formatVersion = 2

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

/// How samples are put together in a store: what its bytes depend on besides the samples.
public struct StoreLayout: Equatable, Sendable {
    /// A frame is full with this many tokens.
    public var groupTokens = 4096
    /// A block, which is one record of frames, is full with this many bytes.
    public var blockBytes = 128 << 10
    /// Tokens are ranked by how often they occur among so many first ones.
    public var rankTokens = 1_000_000
    /// zstd's.
    public var compressionLevel = 3

    public init() {}

    var settings: [StoreManifest.Setting] {
        [
            .init("tokens a group", "\(groupTokens)"), .init("bytes a block", "\(blockBytes)"),
            .init("tokens that ranks are taken from", "\(rankTokens)"),
            .init("compression level", "\(compressionLevel)"),
        ]
    }
}

/// What was read and what became of it; `read` is always `kept` and all that were rejected.
public struct StoreCounts: Equatable, Sendable {
    /// Records of the dataset.
    public var read = 0
    /// Records that samples were made of.
    public var kept = 0
    /// Samples in the store: one for each record that was kept, or several.
    public var samples = 0
    /// Samples that were cut to the most tokens.
    public var truncated = 0
    /// Samples that were left out of records that were kept, because too few of their tokens are supervised.
    public var leftOut = 0
    /// Records that can't be used, by reason.
    public var rejected: [String: Int] = [:]
    /// Records that were used after a repair, by what was repaired.
    public var repaired: [String: Int] = [:]
    /// Messages that repairs left out.
    public var droppedMessages = 0
    public var tokens = 0
    public var supervisedTokens = 0

    public init() {}

    public var rejectedTotal: Int { rejected.values.reduce(0, +) }
    public var isReconciled: Bool { read == kept + rejectedTotal }

    /// Of all tokens, the share that the draft learns from.
    public var supervisedShare: Double { tokens > 0 ? Double(supervisedTokens) / Double(tokens) : 0 }
}

// MARK: - JSON

extension StoreManifest {
    /// The manifest as it is stored; keys are in Documentation/StoreFormat.md.
    public var json: JSONText {
        .object([
            ("format", .int(Self.formatVersion)), ("state", .string(state.rawValue)),
            ("program_version", .string(programVersion)), ("files", .array(files.map(\.json))),
            ("target_model_path", .string(targetModelPath)),
            ("settings", .object(settings.map { ($0.name, .string($0.value)) })),
            ("vocab_size", .int(vocabSize)),
            ("special_tokens", .object(specialTokens.map { ($0.name, .int(Int($0.id))) })),
            (
                "layout",
                .object([
                    ("group_tokens", .int(layout.groupTokens)), ("block_bytes", .int(layout.blockBytes)),
                    ("rank_tokens", .int(layout.rankTokens)), ("compression_level", .int(layout.compressionLevel)),
                ])
            ), ("counts", counts.json),
        ])
    }

    init(_ root: JSONNode) throws(JSONError) {
        let format = try root.required("format")
        guard try format.asInt() == Self.formatVersion else {
            throw format.error("is \(try format.asInt()), this program reads \(Self.formatVersion)")
        }
        guard let state = State(rawValue: try root.string("state")) else {
            throw try root.required("state").error("should be building or complete")
        }
        self.state = state
        programVersion = try root.string("program_version")
        files = []
        for file in try root.required("files").elements { files.append(try DataFile(file)) }
        targetModelPath = try root.string("target_model_path")
        settings = []
        for (name, value) in try root.required("settings").members {
            settings.append(Setting(name, try value.asString()))
        }
        vocabSize = try root.int("vocab_size")
        specialTokens = []
        for (name, value) in try root.required("special_tokens").members {
            guard let id = Int32(exactly: try value.asInt()) else { throw value.error("should be a token's id") }
            specialTokens.append((name, id))
        }
        layout = StoreLayout()
        let stored = try root.required("layout")
        layout.groupTokens = try stored.int("group_tokens")
        layout.blockBytes = try stored.int("block_bytes")
        layout.rankTokens = try stored.int("rank_tokens")
        layout.compressionLevel = try stored.int("compression_level")
        counts = try StoreCounts(root.required("counts"))
    }
}

extension StoreManifest.DataFile {
    package var json: JSONText {
        .object([
            ("path", .string(path)), ("size", .int(status.size)), ("mtime_ns", .int(status.modifiedNanoseconds)),
            ("inode", .int(status.inode)), ("xxh128", digest.map(JSONText.string) ?? .null),
            ("appendable", .bool(isAppendable)),
        ])
    }

    init(_ node: JSONNode) throws(JSONError) {
        path = try node.string("path")
        status = FileStatus(
            size: try node.int("size"), modifiedNanoseconds: try node.int("mtime_ns"), inode: try node.int("inode"))
        digest = try node["xxh128"]?.asString()
        isAppendable = try node.bool("appendable")
    }
}

extension StoreCounts {
    public var json: JSONText {
        .object([
            ("read", .int(read)), ("kept", .int(kept)), ("samples", .int(samples)), ("truncated", .int(truncated)),
            ("left_out", .int(leftOut)), ("rejected", Self.json(rejected)),
            ("repaired", Self.json(repaired)), ("dropped_messages", .int(droppedMessages)), ("tokens", .int(tokens)),
            ("supervised_tokens", .int(supervisedTokens)),
        ])
    }

    package init(_ node: JSONNode) throws(JSONError) {
        read = try node.int("read")
        kept = try node.int("kept")
        samples = try node.int("samples")
        truncated = try node.int("truncated")
        leftOut = try node.int("left_out")
        for (reason, count) in try node.required("rejected").members { rejected[reason] = try count.asInt() }
        for (reason, count) in try node.required("repaired").members { repaired[reason] = try count.asInt() }
        droppedMessages = try node.int("dropped_messages")
        tokens = try node.int("tokens")
        supervisedTokens = try node.int("supervised_tokens")
    }

    private static func json(_ counts: [String: Int]) -> JSONText {
        .object(counts.sorted { $0.key < $1.key }.map { ($0.key, .int($0.value)) })
    }
}
