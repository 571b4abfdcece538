/// What tells one tokenizer from another, without being able to encode: digests of its files, and of its vocabulary.
///
/// Both programs compute it from a target's files, Preprocess for the store and Trainer for the target that the store
/// is offered to.
public struct TokenizerIdentity: Equatable, Sendable {
    /// XXH3-128 of each file's contents, by name; of a GGUF file that of its `tokenizer.ggml` metadata.
    public var files: [String: String]
    /// XXH3-128 of all tokens, their ids and texts; nil where the files have them in another form.
    ///
    /// It compares a Hugging Face directory with a GGUF file that was converted from it.
    public var vocabulary: String?

    /// The files that hold a whole tokenizer, of which the first that is there counts.
    public static let wholeFiles = [tokenizerFile, sentencePieceFile, tekkenFile]
    public static let tokenizerFile = "tokenizer.json"
    public static let sentencePieceFile = "tokenizer.model"
    public static let tekkenFile = "tekken.json"
    /// The files that add tokens to one or name special ones; the last two count beside `tokenizer.json` no more, which
    /// has their contents.
    private static let companions = [configFile, specialTokensFile, addedTokensFile]
    public static let configFile = "tokenizer_config.json"
    public static let specialTokensFile = "special_tokens_map.json"
    public static let addedTokensFile = "added_tokens.json"
    static let metadata = "tokenizer.ggml"

    public init(files: [String: String], vocabulary: String?) {
        self.files = files
        self.vocabulary = vocabulary
    }

    /// The identity of a target's tokenizer; nil if there is none in its files.
    ///
    /// - Throws: `FileError` or `JSONError` that name the file, and the key if it is damaged.
    public init?(_ target: TargetFiles) throws {
        if let gguf = target.gguf {
            files = [Self.metadata: Digest(of: Self.text(gguf)).hex]
            vocabulary = try VocabularyDigest.of(gguf)?.hex
            return
        }
        guard let whole = try Self.wholeFiles.first(where: { try target.contents($0) != nil }),
            let contents = try target.contents(whole)
        else { return nil }
        files = [whole: Digest(of: contents).hex]
        for name in Self.companions.prefix(whole == Self.tokenizerFile ? 1 : Self.companions.count) {
            guard let file = try target.json(name) else { continue }
            // Its template shapes texts and not tokens, and is compared by itself.
            let members = file.root.value.members.filter { !$0.key.elementsEqual("chat_template".utf8) }
            let text = JSONText.object(members.map { (String(decoding: $0.key, as: UTF8.self), JSONText($0.value)) })
            files[name] = Digest(of: text.compact).hex
        }
        guard whole == Self.tokenizerFile else { return }
        let tokenizer = try JSONFile(contents: contents, path: target.path(of: whole))
        vocabulary = try VocabularyDigest.of(tokenizer.root, config: target.json(Self.configFile)?.root)?.hex
    }

    /// One digest for all: equal for equal files.
    public var digest: String {
        files.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: "\n").digest
    }

    /// What differs from another tokenizer, in words; nil if they are the same.
    ///
    /// Where both are read from files of the same kind, these must be equal; a GGUF file and a Hugging Face directory
    /// are the same if all tokens are.
    public func difference(from other: TokenizerIdentity) -> String? {
        let kinds = [self, other].map { identity in
            (Self.wholeFiles + [Self.metadata]).first { identity.files[$0] != nil } ?? "nothing"
        }
        guard kinds[0] == kinds[1] else {
            guard let vocabulary, let theirs = other.vocabulary else {
                return "one is read from \(kinds[0]), the other from \(kinds[1])"
            }
            return vocabulary == theirs
                ? nil : "tokens of \(kinds[0]) and \(kinds[1]) differ: \(vocabulary) and \(theirs)"
        }
        let parts = changedFiles(in: other).map {
            "\($0) \(files[$0] ?? "missing") and \(other.files[$0] ?? "missing")"
        }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    /// The names of the files that another one has otherwise, or that one of them lacks, ascending.
    func changedFiles(in other: TokenizerIdentity) -> [String] {
        Set(files.keys).union(other.files.keys).sorted().filter { files[$0] != other.files[$0] }
    }

    /// The metadata that makes the tokenizer, as one text.
    private static func text(_ file: GGUFFile) -> String {
        file.metadata.filter { $0.key.hasPrefix("\(metadata).") }.sorted { $0.key < $1.key }
            .map { "\($0.key) \($0.value.digest)" }.joined(separator: "\n")
    }
}

// MARK: - In the manifest

extension TokenizerIdentity {
    var json: JSONText {
        .object([
            ("files", .object(files.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            ("vocabulary", vocabulary.map(JSONText.string) ?? .null),
        ])
    }

    init(_ node: JSONNode) throws(JSONError) {
        files = [:]
        for (name, digest) in try node.required("files").asObject().members { files[name] = try digest.asString() }
        vocabulary = try node["vocabulary"]?.asString()
    }
}

extension String {
    fileprivate var digest: String { Digest(of: self).hex }
}

extension GGUFValue {
    /// Of the value and its type.
    fileprivate var digest: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return Digest(of: bytes).hex
    }

    private func append(to bytes: inout [UInt8]) {
        func append(_ number: some FixedWidthInteger) {
            withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
        }
        switch self {
        case .int(let value):
            bytes.append(0)
            append(value)
        case .double(let value):
            bytes.append(1)
            append(value.bitPattern)
        case .bool(let value): bytes += [2, value ? 1 : 0]
        case .string(let value):
            bytes.append(3)
            append(value.utf8.count)
            bytes += value.utf8
        case .array(let values):
            bytes.append(4)
            append(values.count)
            for value in values { value.append(to: &bytes) }
        }
    }
}
