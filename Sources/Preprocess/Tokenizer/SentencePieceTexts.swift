import Shared

/// A SentencePiece model as the tokenizer.json that is equivalent to it.
///
/// That of transformers 4.57's `LlamaConverter`, but that pieces merge by their scores as SentencePiece merges them,
/// instead of by a list.
struct SentencePieceTexts {
    private let model: SentencePieceModel
    private let path: String
    /// Tokens beside the model's pieces, and whether they are special: by `added_tokens.json` and the configuration.
    private let more: [(text: String, id: Int, isSpecial: Bool)]
    /// Whether a space before the text is added to every part between special tokens: transformers' `legacy`.
    private let isLegacy: Bool
    private let addsSpaceBefore: Bool

    /// - Parameters:
    ///   - contents: Those of `tokenizer.model`.
    ///   - path: Its name in errors.
    ///   - config: `tokenizer_config.json`, if there is one.
    ///   - specialTokens: `special_tokens_map.json`, if there is one.
    ///   - added: `added_tokens.json`, if there is one: ids by texts.
    /// - Throws: `JSONError` that names the file and what in it isn't supported.
    init(
        _ contents: [UInt8], path: String, config: JSONNode?, specialTokens: JSONNode?, added: JSONNode?
    ) throws(JSONError) {
        self.path = path
        if Self.isTiktoken(contents) {
            throw Self.unsupported("holds tiktoken's ranks", supported: "a SentencePiece model", path)
        }
        let model = try SentencePieceModel(contents, path: path)
        self.model = model
        isLegacy = try config?.bool("legacy", default: true) ?? true
        addsSpaceBefore = try config?.bool("add_prefix_space", default: model.addsSpaceBefore) ?? model.addsSpaceBefore
        let isListed = config?["added_tokens_decoder"] != nil
        more = try Self.added(
            model, isListed ? [config] : [specialTokens, config], added: isListed ? nil : added,
            listed: config?["added_tokens_decoder"])
        try checkSupport()
    }

    private func checkSupport() throws(JSONError) {
        func unsupported(_ what: String, _ supported: String) -> JSONError {
            Self.unsupported(what, supported: supported, path)
        }
        switch model.algorithm {
        case .unigram, .bytePairEncoding: break
        case .word, .character: throw unsupported("its model_type is \(model.algorithm)", "unigram, bpe")
        }
        if let map = model.characterMap { throw unsupported("its normalizer is '\(map)'", "identity") }
        if model.removesExtraSpaces { throw unsupported("it sets remove_extra_whitespaces", "false") }
        if model.putsSpacesAfter { throw unsupported("it sets treat_whitespace_as_suffix", "false") }
        if !model.replacesSpaces { throw unsupported("it doesn't set escape_whitespaces", "true") }
        if let piece = model.pieces.first(where: { $0.kind == .unused }) {
            throw unsupported("its piece '\(piece.text)' is an unused one", "all others")
        }
        var seen: Set<[UInt8]> = []
        for piece in model.pieces where !seen.insert(Array(piece.text.utf8)).inserted {
            throw JSONError("has the piece '\(piece.text)' twice", at: path)
        }
        guard model.pieces.indices.contains(model.unknownID), model.pieces[model.unknownID].kind == .unknown else {
            throw JSONError("has no unknown piece at its unk_id, \(model.unknownID)", at: path)
        }
    }

    /// The error of what can't be read, with the line that makes what can.
    private static func unsupported(_ what: String, supported: String, _ path: String) -> JSONError {
        let folder = directory(of: path)
        return JSONError(
            "\(what), which is not supported; supported: \(supported). A tokenizer.json beside it is read instead; "
                + "transformers writes one: python3 -c \"from transformers import AutoTokenizer as T; "
                + "T.from_pretrained('\(folder)').save_pretrained('\(folder)')\"",
            at: path)
    }

    /// Ranks are lines of a token in base64 and a number.
    private static func isTiktoken(_ contents: [UInt8]) -> Bool {
        let line = contents.prefix(256).prefix { $0 != UInt8(ascii: "\n") }
        let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        return parts.count == 2 && Int(String(decoding: parts[1], as: UTF8.self)) != nil
            && Base64.decode(parts[0]) != nil
    }

    /// The tokens that aren't pieces, and the pieces that are special without the model's saying so.
    private static func added(
        _ model: SentencePieceModel, _ configs: [JSONNode?], added: JSONNode?, listed: JSONNode?
    ) throws(JSONError) -> [(text: String, id: Int, isSpecial: Bool)] {
        var special: [String] = []
        for key in ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"] {
            for config in configs {
                guard let text = try Tokenizer.specialToken(key, config) else { continue }
                special.append(text)
                break
            }
        }
        for config in configs {
            guard let node = config?["additional_special_tokens"] else { continue }
            for token in node.elements { special.append(try Tokenizer.content(token)) }
            break
        }
        var tokens: [(text: String, id: Int, isSpecial: Bool)] = []
        for (text, node) in added?.members ?? [] {
            tokens.append((text, try node.asInt(), special.contains(text)))
        }
        let ids = Dictionary(
            model.pieces.enumerated().map { ($1.text, $0) }, uniquingKeysWith: { first, _ in first })
        var known = Set(tokens.map(\.text))
        var next = max(model.pieces.count, (tokens.map(\.id).max() ?? -1) + 1)
        for (key, node) in listed?.members ?? [] {
            known.insert(try Tokenizer.content(node))
            if let id = Int(key), id < Vocabulary.limit { next = max(next, id + 1) }
        }
        // As transformers does it: a special token without an id gets the next one.
        for text in special where known.insert(text).inserted {
            tokens.append((text, ids[text] ?? next, true))
            if ids[text] == nil { next += 1 }
        }
        return tokens
    }

    // MARK: - tokenizer.json

    var tokenizer: JSONText {
        let texts = model.pieces.map(\.text)
        var kind: [(String, JSONText)]
        switch model.algorithm {
        case .unigram:
            kind = [
                ("type", .string("Unigram")), ("unk_id", .int(model.unknownID)),
                (
                    "vocab",
                    .array(model.pieces.map { .array([.string($0.text), .number(Double($0.score))]) })
                ),
            ]
        default:
            kind = [
                ("type", .string("BPE")), ("unk_token", .string(texts[model.unknownID])), ("fuse_unk", .bool(true)),
                ("vocab", .object(texts.enumerated().map { ($1, .int($0)) })),
                (ScoredMerges.key, .array(model.pieces.map(Self.score))),
            ]
        }
        kind.append(("byte_fallback", .bool(model.fallsBackToBytes)))
        let space = Metaspace.json(addsPrefix: addsSpaceBefore, isLegacy: isLegacy)
        return .object([
            ("added_tokens", .array(addedTokens)), ("normalizer", space.normalizer),
            ("pre_tokenizer", space.preTokenizer), ("decoder", space.decoder), ("model", .object(kind)),
        ])
    }

    /// A score for each piece that text can merge to.
    ///
    /// Those that are looked for in the text before are made by merging all
    /// the same if they have `▁`, which text has only then.
    private static func score(_ piece: SentencePieceModel.Piece) -> JSONText {
        switch piece.kind {
        case .normal: .number(Double(piece.score))
        case .userDefined where piece.text.unicodeScalars.contains("▁"): .number(Double(piece.score))
        default: .null
        }
    }

    private var addedTokens: [JSONText] {
        var tokens: [JSONText] = []
        func add(_ text: String, _ id: Int, isSpecial: Bool, isNormalized: Bool) {
            tokens.append(
                .object([
                    ("id", .int(id)), ("content", .string(text)), ("special", .bool(isSpecial)),
                    ("normalized", .bool(isNormalized)),
                ]))
        }
        let renamed = Set(more.map(\.text))
        for (id, piece) in model.pieces.enumerated() where !renamed.contains(piece.text) {
            guard [.unknown, .control, .userDefined].contains(piece.kind) else { continue }
            add(piece.text, id, isSpecial: piece.kind != .userDefined, isNormalized: false)
        }
        for token in more { add(token.text, token.id, isSpecial: token.isSpecial, isNormalized: !token.isSpecial) }
        return tokens
    }

    /// The special tokens of tokenizer_config.json where it doesn't name them.
    var specialTokens: [(key: String, text: String)] {
        [("bos_token", model.bosID), ("eos_token", model.eosID)].compactMap { key, id in
            model.pieces.indices.contains(id) ? (key, model.pieces[id].text) : nil
        }
    }
}
