import Shared

/// A GGUF file's tokenizer and template as the files of a Hugging Face directory that are equivalent to them.
///
/// llama.cpp's tokens are the measure: it serves the file. So nothing is normalized, patterns are llama.cpp's, and a
/// SentencePiece model merges by its scores.
struct GGUFTexts: Sendable {
    private let file: GGUFFile

    /// The kinds of tokenizers, by `tokenizer.ggml.model`.
    private enum Model: String, CaseIterable {
        case byteLevel = "gpt2"
        case sentencePiece = "llama"
    }

    /// What a token is, by its number in `tokenizer.ggml.token_type`.
    private enum TokenKind {
        static let unknown = 2
        static let control = 3
        static let userDefined = 4
        /// Those that are looked for in the text itself.
        static let added = [unknown, control, userDefined]
    }

    /// Special tokens by their names in `tokenizer_config.json` and in GGUF.
    private static let specialTokens = [
        ("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("sep_token", "seperator"),
        ("pad_token", "padding"), ("cls_token", "cls"), ("mask_token", "mask"),
    ]

    init(_ file: GGUFFile) { self.file = file }

    var path: String { file.path }

    /// A file of the directory that this stands for; nil if there is nothing for it.
    /// - Throws: `JSONError` that names the key of the metadata.
    func file(_ name: String) throws(JSONError) -> JSONText? {
        switch name {
        case "tokenizer.json": try tokenizer()
        case "tokenizer_config.json": try tokenizerConfiguration()
        case "config.json": try configuration()
        default: nil
        }
    }

    // MARK: - tokenizer.json

    private func tokenizer() throws(JSONError) -> JSONText {
        guard file.metadata["general.architecture"]?.string != "phi3" else {
            throw JSONError(
                "key 'general.architecture' is 'phi3', whose special tokens take the spaces after them, which is not "
                    + "supported; put the model's tokenizer.json beside the file", at: path)
        }
        let name = try string("tokenizer.ggml.model")
        guard let model = Model(rawValue: name) else {
            throw unsupported("tokenizer.ggml.model", name, Model.allCases.map(\.rawValue))
        }
        let texts = try tokens()
        let parts = model == .byteLevel ? try byteLevel(texts) : try sentencePiece(texts)
        return .object([("added_tokens", .array(try addedTokens(texts)))] + parts)
    }

    private func byteLevel(_ texts: [String]) throws(JSONError) -> [(String, JSONText)] {
        let key = "tokenizer.ggml.pre"
        let name = file.metadata[key]?.string ?? GGUFSplit.unnamed
        guard let split = GGUFSplit.named(name) else { throw unsupported(key, name, GGUFSplit.names) }
        return [
            ("pre_tokenizer", split.preTokenizer),
            ("decoder", .object([("type", .string("ByteLevel"))])),
            (
                "model",
                .object([
                    ("type", .string("BPE")), ("ignore_merges", .bool(split.ignoresMerges)),
                    ("vocab", vocabulary(texts)),
                    ("merges", .array(try strings("tokenizer.ggml.merges").map(JSONText.string))),
                ])
            ),
        ]
    }

    /// A space becomes `▁`, which a text begins with too if `add_space_prefix` is set.
    private func sentencePiece(_ texts: [String]) throws(JSONError) -> [(String, JSONText)] {
        let space = Metaspace.json(
            addsPrefix: file.metadata["tokenizer.ggml.add_space_prefix"]?.bool ?? true, isLegacy: true)
        return [
            ("normalizer", space.normalizer), ("decoder", space.decoder),
            (
                "model",
                .object([
                    ("type", .string("BPE")), ("byte_fallback", .bool(true)), ("vocab", vocabulary(texts)),
                    (ScoredMerges.key, .array(try scores(texts))),
                ])
            ),
        ]
    }

    private func vocabulary(_ texts: [String]) -> JSONText {
        .object(texts.enumerated().map { ($1, .int($0)) })
    }

    /// Tokens that are looked for in the text itself.
    private func addedTokens(_ texts: [String]) throws(JSONError) -> [JSONText] {
        let kinds = try kinds(texts.count)
        var added: [JSONText] = []
        for (id, kind) in kinds.enumerated() {
            guard TokenKind.added.contains(kind) else { continue }
            added.append(
                .object([
                    ("id", .int(id)), ("content", .string(texts[id])), ("normalized", .bool(false)),
                    ("special", .bool(kind != TokenKind.userDefined)),
                ]))
        }
        return added
    }

    // MARK: - tokenizer_config.json and config.json

    private func tokenizerConfiguration() throws(JSONError) -> JSONText {
        let texts = try tokens()
        var members: [(String, JSONText)] = []
        for (name, key) in Self.specialTokens {
            guard let id = file.tokenID(key) else { continue }
            guard texts.indices.contains(id) else {
                throw error("tokenizer.ggml.\(key)_token_id", "is \(id), but there are \(texts.count) tokens")
            }
            members.append((name, .string(texts[id])))
        }
        let (key, more) = ("tokenizer.chat_template", "tokenizer.chat_template.")
        let named = file.metadata.keys.filter { $0.hasPrefix(more) }.sorted()
        var templates: [JSONText] = []
        for name in [key] + named {
            guard let value = file.metadata[name] else { continue }
            guard let text = value.string else { throw error(name, "should be a string") }
            let title = name == key ? "default" : String(name.dropFirst(more.count))
            templates.append(.object([("name", .string(title)), ("template", .string(text))]))
        }
        if !templates.isEmpty { members.append(("chat_template", .array(templates))) }
        return .object(members)
    }

    /// What Preprocess needs of it; `GGUFModel` has the model's.
    private func configuration() throws(JSONError) -> JSONText {
        let rows = file.tensors["token_embd.weight"]?.shape.first
        let vocabSize = if let rows { rows } else { try tokens().count }
        return .object([
            ("vocab_size", .int(vocabSize)), ("eos_token_id", .array(file.endTokenIDs.map(JSONText.int))),
        ])
    }

    // MARK: - Metadata

    /// The texts of all tokens.
    private func tokens() throws(JSONError) -> [String] {
        let key = "tokenizer.ggml.tokens"
        let texts = try strings(key)
        // By their bytes: strings of the same characters needn't be the same text.
        var seen: Set<[UInt8]> = []
        for (id, text) in texts.enumerated() where !seen.insert(Array(text.utf8)).inserted {
            throw error(key, "has '\(text)' twice, the second time at \(id)")
        }
        return texts
    }

    /// A score for each token that text can merge to: not those that are looked for in the text before.
    ///
    /// These may be made by merging all the same if they have `▁`, which text has only then.
    private func scores(_ texts: [String]) throws(JSONError) -> [JSONText] {
        let scores = try array("tokenizer.ggml.scores", "numbers", count: texts.count, \.double)
        guard scores.allSatisfy(\.isFinite) else {
            throw error("tokenizer.ggml.scores", "has infinite ones, should be finite")
        }
        let kinds = try kinds(texts.count)
        return texts.indices.map { id in
            TokenKind.added.contains(kinds[id]) && !texts[id].unicodeScalars.contains("▁") ? .null : .number(scores[id])
        }
    }

    private func string(_ key: String) throws(JSONError) -> String {
        guard let value = file.metadata[key] else { throw error(key, "is missing") }
        guard let string = value.string else { throw error(key, "should be a string") }
        return string
    }

    private func strings(_ key: String) throws(JSONError) -> [String] { try array(key, "strings", \.string) }

    private func kinds(_ count: Int) throws(JSONError) -> [Int] {
        try array("tokenizer.ggml.token_type", "integers", count: count, \.int)
    }

    private func array<T>(
        _ key: String, _ kind: String, count: Int? = nil, _ element: (GGUFValue) -> T?
    ) throws(JSONError) -> [T] {
        guard let value = file.metadata[key] else { throw error(key, "is missing") }
        let values = value.array?.compactMap(element)
        guard let values, values.count == value.array?.count else { throw error(key, "should be an array of \(kind)") }
        if let count, values.count != count {
            throw error(key, "has \(values.count) elements, should have one for each of \(count) tokens")
        }
        return values
    }

    private func error(_ key: String, _ problem: String) -> JSONError { JSONError("key '\(key)' \(problem)", at: path) }

    private func unsupported(_ key: String, _ value: String, _ supported: [String]) -> JSONError {
        error(
            key,
            "is '\(value)', supported are \(supported.joined(separator: ", ")); the model's tokenizer.json beside the file "
                + "is read instead")
    }
}
