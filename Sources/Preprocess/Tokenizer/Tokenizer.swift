import Shared

/// A tokenizer of Hugging Face: `tokenizer.json`, and `tokenizer_config.json` beside it.
///
/// Text is normalized, split at added tokens and into words, and each word encoded by the model, as `tokenizers` does
/// it; the ids are the same or the tokenizer is refused. The post-processor isn't applied: templates write the
/// special tokens themselves.
final class Tokenizer: Sendable {
    /// One more than the largest id.
    let vocabSize: Int
    /// What tells two tokenizers apart: of the contents of their files.
    let digest: Digest
    /// The ids that `tokenizer_config.json` names, if it does.
    let bosID: Int32?
    let eosID: Int32?
    /// The texts of those tokens.
    let bosToken: String?
    let eosToken: String?

    let normalizers: [Normalizer]
    let splitter: WordSplitter
    let model: BytePairEncoding
    let addedTokens: AddedTokenFinder
    let normalizedAddedTokens: AddedTokenFinder
    let lengths: TokenLengths
    private let addedIDs: [[UInt8]: Int32]
    private let addedBytes: [Int32: [UInt8]]

    /// - Throws: `JSONError` or `FileError` that name the file, the key and what is wrong with it or not supported.
    convenience init(modelDirectory: String) throws {
        let directory = modelDirectory.hasSuffix("/") ? String(modelDirectory.dropLast()) : modelDirectory
        let path = "\(directory)/tokenizer.json"
        let configPath = "\(directory)/tokenizer_config.json"
        let contents = try readFile(path)
        let config = fileExists(configPath) ? try readFile(configPath) : nil
        try self.init(
            tokenizer: JSONFile(contents: contents, path: path).root,
            config: config.map { try JSONFile(contents: $0, path: configPath).root },
            digest: Digest(of: Digest(of: contents).hex + Digest(of: config ?? []).hex))
    }

    init(tokenizer root: JSONNode, config: JSONNode?, digest: Digest) throws(JSONError) {
        self.digest = digest
        if let truncation = root["truncation"] { throw truncation.error("is not supported; supported: null") }
        if let padding = root["padding"] { throw padding.error("is not supported; supported: null") }
        normalizers = try root["normalizer"].map { node throws(JSONError) in try Normalizer.load(node) } ?? []
        splitter = try WordSplitter(try root.required("pre_tokenizer"))
        let decoder = try Decoder(try root.required("decoder"))
        model = try BytePairEncoding(try root.required("model"))

        let added = try Self.loadAddedTokens(root, config, model.vocabulary)
        addedTokens = AddedTokenFinder(added.filter { !$0.isNormalized })
        normalizedAddedTokens = AddedTokenFinder(
            added.filter(\.isNormalized).map { [normalizers] in Self.normalized($0, normalizers) })
        addedIDs = Dictionary(added.map { ($0.content, $0.id) }, uniquingKeysWith: { first, _ in first })
        addedBytes = Dictionary(
            added.map { ($0.id, decoder.bytes(of: $0.content)) }, uniquingKeysWith: { first, _ in first })
        vocabSize = max(model.vocabulary.count, Int(added.map(\.id).max() ?? -1) + 1)
        lengths = TokenLengths(model.vocabulary.lengths)

        bosToken = try Self.specialToken("bos_token", config)
        eosToken = try Self.specialToken("eos_token", config)
        let (addedIDs, vocabulary) = (addedIDs, model.vocabulary)
        bosID = bosToken.flatMap { Self.id(of: $0, addedIDs, vocabulary) }
        eosID = eosToken.flatMap { Self.id(of: $0, addedIDs, vocabulary) }
    }

    /// A new encoder, for one worker.
    func makeEncoder() -> TokenEncoder { TokenEncoder(self) }

    /// The token whose text is `content`, an added one or one of the model.
    func id(of content: String) -> Int32? { Self.id(of: content, addedIDs, model.vocabulary) }

    private static func id(of content: String, _ added: [[UInt8]: Int32], _ vocabulary: Vocabulary) -> Int32? {
        let text = Array(content.utf8)
        if let id = added[text] { return id }
        var bytes: [UInt8] = []
        let isOfAlphabet = text.withUnsafeBufferPointer { ByteAlphabet.decode($0, into: &bytes) }
        return isOfAlphabet ? vocabulary.id(of: bytes) : nil
    }

    /// The bytes of a text's tokens, special ones among them; ids without a token are passed over.
    func decode(_ ids: some Sequence<Int>) -> [UInt8] {
        var bytes: [UInt8] = []
        for id in ids {
            if let added = Int32(exactly: id).flatMap({ addedBytes[$0] }) {
                bytes += added
            } else if let own = model.vocabulary.bytes(of: id) {
                bytes += own
            }
        }
        return bytes
    }
}

/// The number of bytes of each of a model's tokens, where the encoder's inner loop finds it.
final class TokenLengths: @unchecked Sendable {
    let start: UnsafePointer<Int32>

    init(_ lengths: [Int32]) {
        let memory = UnsafeMutablePointer<Int32>.allocate(capacity: max(1, lengths.count))
        memory.initialize(from: lengths, count: lengths.count)
        start = UnsafePointer(memory)
    }

    deinit { start.deallocate() }
}
