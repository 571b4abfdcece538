import Shared

/// A tokenizer of Hugging Face: `tokenizer.json`, and `tokenizer_config.json` beside it; or a GGUF file's, as these.
///
/// Text is normalized, split at added tokens and into words, and each word encoded by the model, as `tokenizers` does
/// it; the ids are the same or the tokenizer is refused. The post-processor isn't applied: templates write the
/// special tokens themselves. Nor are truncation and padding, which transformers leaves to its callers too.
final class Tokenizer: Sendable {
    /// One more than the largest id.
    let vocabSize: Int
    /// The ids that `tokenizer_config.json` names, if it does.
    let bosID: Int32?
    let eosID: Int32?
    /// The texts of those tokens.
    let bosToken: String?
    let eosToken: String?

    let normalizers: [Normalizer]
    let splitter: WordSplitter
    let model: TokenModel
    private let decoder: Decoder
    let addedTokens: AddedTokenFinder
    let normalizedAddedTokens: AddedTokenFinder
    let lengths: TokenLengths
    private let addedIDs: [[UInt8]: Int32]
    private let addedContents: [Int32: [UInt8]]

    /// - Throws: `JSONError` or `FileError` that name the file, the key and what is wrong with it or not supported.
    convenience init(_ model: ModelFiles) throws {
        let files = try TokenizerFiles(model)
        try self.init(
            tokenizer: files.tokenizer.root, config: files.config?.root, specialTokens: files.specialTokens)
    }

    /// - Parameters:
    ///   - root: The root of tokenizer.json.
    ///   - config: The root of tokenizer_config.json, if there is one.
    ///   - specialTokens: The texts of special tokens that `config` doesn't name, by their keys in it.
    init(
        tokenizer root: JSONNode, config: JSONNode?, specialTokens: [(key: String, text: String)] = []
    ) throws(JSONError) {
        normalizers = try root["normalizer"].map { node throws(JSONError) in try Normalizer.load(node) } ?? []
        splitter = try WordSplitter(root["pre_tokenizer"])
        model = try TokenModel(try root.required("model"), isByteLevel: splitter.isByteLevel)
        let decoderNode = splitter.isByteLevel ? try root.required("decoder") : root["decoder"]
        decoder = try Decoder(decoderNode, isByteLevel: splitter.isByteLevel)

        let added = try Self.loadAddedTokens(root, config, model.vocabulary)
        addedTokens = AddedTokenFinder(added.filter { !$0.isNormalized })
        var normalized: [AddedToken] = []
        for token in added where token.isNormalized {
            do throws(PatternError) {
                normalized.append(try Self.normalized(token, normalizers))
            } catch {
                throw JSONError("an added token can't be normalized: \(error)", at: "tokenizer.json")
            }
        }
        normalizedAddedTokens = AddedTokenFinder(normalized)
        addedIDs = Dictionary(added.map { ($0.content, $0.id) }, uniquingKeysWith: { first, _ in first })
        addedContents = Dictionary(added.map { ($0.id, $0.content) }, uniquingKeysWith: { _, last in last })
        vocabSize = max(model.vocabulary.count, Int(added.map(\.id).max() ?? -1) + 1)
        lengths = TokenLengths(model.lengths)

        func text(_ key: String) throws(JSONError) -> String? {
            try Self.specialToken(key, config) ?? specialTokens.first { $0.key == key }?.text
        }
        bosToken = try text("bos_token")
        eosToken = try text("eos_token")
        let (addedIDs, vocabulary, isByteLevel) = (addedIDs, model.vocabulary, splitter.isByteLevel)
        func id(_ token: String) -> Int32? { Self.id(of: token, addedIDs, vocabulary, isByteLevel: isByteLevel) }
        bosID = bosToken.flatMap(id)
        eosID = eosToken.flatMap(id)
    }

    /// A new encoder, for one worker.
    func makeEncoder() -> TokenEncoder { TokenEncoder(self) }

    /// The token whose text is `content`, an added one or one of the model.
    func id(of content: String) -> Int32? {
        Self.id(of: content, addedIDs, model.vocabulary, isByteLevel: splitter.isByteLevel)
    }

    private static func id(
        of content: String, _ added: [[UInt8]: Int32], _ vocabulary: Vocabulary, isByteLevel: Bool
    ) -> Int32? {
        let text = Array(content.utf8)
        if let id = added[text] { return id }
        guard isByteLevel else { return vocabulary.id(of: text) }
        var bytes: [UInt8] = []
        let isOfAlphabet = text.withUnsafeBufferPointer { ByteAlphabet.decode($0, into: &bytes) }
        return isOfAlphabet ? vocabulary.id(of: bytes) : nil
    }

    /// Whether there is a token of this id.
    func hasToken(_ id: Int) -> Bool {
        model.vocabulary.bytes(of: id) != nil || Int32(exactly: id).map { addedContents[$0] != nil } ?? false
    }

    /// Whether a token's own text leaves it open that it stands for white space: `▁` and bytes as `<0x0A>` among it.
    func mayBeSpace(_ id: Int) -> Bool {
        guard let text = model.vocabulary.bytes(of: id) else { return false }
        return text.allSatisfy { $0 <= 0x20 || [0xE2, 0x96, 0x81].contains($0) } || text.starts(with: Array("<0x".utf8))
    }

    /// The text of tokens, special ones among them; ids without a token are passed over.
    ///
    /// The bytes of a byte-level tokenizer are as they are, UTF-8 or not.
    /// - Throws: `PatternError` where a decoder's pattern can't be matched.
    func decode(_ ids: some Sequence<Int>) throws(PatternError) -> [UInt8] {
        let vocabulary = model.vocabulary
        guard decoder.isBytewise, splitter.isByteLevel else {
            let alphabet = splitter.isByteLevel
            var tokens: [[UInt8]] = []
            for id in ids {
                if let added = Int32(exactly: id).flatMap({ addedContents[$0] }) {
                    tokens.append(added)
                } else if let own = vocabulary.bytes(of: id) {
                    tokens.append(alphabet ? ByteAlphabet.encode(own) : Array(own))
                }
            }
            return try decoder.decode(tokens)
        }
        var bytes: [UInt8] = []
        for id in ids {
            if let added = Int32(exactly: id).flatMap({ addedContents[$0] }) {
                bytes += decoder.bytes(of: added)
            } else if let own = vocabulary.bytes(of: id) {
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
