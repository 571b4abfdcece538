import Shared

/// What `tekken.json` says of texts, Mistral's own file for its byte-level tokenizers, as a tokenizer.json that says the
/// same.
///
/// mistral-common's `Tekkenizer` is the measure: the first ids are those of the special tokens; a word that is a token
/// is one, and in others those neighbours merge first that make the token of the lowest rank.
struct TekkenTexts {
    private let path: String
    private let pattern: String
    /// The bytes of each token that isn't special, by its rank.
    private let tokens: [[UInt8]]
    private let special: [(text: String, isControl: Bool)]

    /// Special tokens of files up to version 7, which don't list them.
    private static let unlisted = [
        "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]",
        "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
    ]

    /// - Throws: `JSONError` that names the file, the key and what is wrong with it.
    init(_ root: JSONNode, path: String) throws(JSONError) {
        self.path = path
        let config = try root.required("config")
        pattern = try config.string("pattern")
        let (size, specialCount) = (
            try config.int("default_vocab_size"), try config.int("default_num_special_tokens")
        )
        guard (0...Vocabulary.limit).contains(size), (0...size).contains(specialCount) else {
            throw try config.required("default_vocab_size").error(
                "is \(size), of which \(specialCount) are special; should be at most \(Vocabulary.limit)")
        }
        special = try Self.special(root, count: specialCount)
        tokens = try Self.tokens(try root.required("vocab"), count: size - specialCount)
    }

    /// The tokens of ranks below `count`; a file may have more.
    private static func tokens(_ vocab: JSONNode, count: Int) throws(JSONError) -> [[UInt8]] {
        var tokens: [[UInt8]] = []
        var seen: Set<[UInt8]> = []
        for entry in vocab.value.elements {
            guard tokens.count < count else { break }
            guard let rank = entry["rank"]?.int, let text = entry["token_bytes"]?.utf8, rank == tokens.count,
                let bytes = Base64.decode(text), !bytes.isEmpty, seen.insert(bytes).inserted
            else {
                throw vocab.error(
                    "has at \(tokens.count) no token of this rank with token_bytes in base64 that no other has")
            }
            tokens.append(bytes)
        }
        guard tokens.count == count else {
            throw vocab.error("has \(tokens.count) tokens, should have at least \(count)")
        }
        return tokens
    }

    private static func special(
        _ root: JSONNode, count: Int
    ) throws(JSONError) -> [(text: String, isControl: Bool)] {
        let node = root["special_tokens"]
        var tokens: [(text: String, isControl: Bool)] = []
        for element in node?.elements ?? [] {
            guard try element.int("rank") == tokens.count else {
                throw element.error("has rank \(try element.int("rank")), should be \(tokens.count)")
            }
            tokens.append((try element.string("token_str"), try element.bool("is_control", default: true)))
        }
        if node == nil { tokens = unlisted.map { ($0, true) } }
        guard tokens.count <= count else {
            throw root.error("has \(tokens.count) special tokens, but default_num_special_tokens is \(count)")
        }
        for id in tokens.count..<count { tokens.append(("<SPECIAL_\(id)>", true)) }
        return tokens
    }

    // MARK: - tokenizer.json

    var tokenizer: JSONText {
        let texts =
            special.map(\.text) + tokens.map { String(decoding: ByteAlphabet.encode($0), as: UTF8.self) }
        let scores = special.map { _ in JSONText.null } + tokens.indices.map { .int(-$0) }
        let split = JSONText.object([
            ("type", .string("Split")), ("pattern", .object([("Regex", .string(pattern))])),
            ("behavior", .string("Removed")), ("invert", .bool(true)),
        ])
        let byteLevel = JSONText.object([
            ("type", .string("ByteLevel")), ("add_prefix_space", .bool(false)), ("use_regex", .bool(false)),
        ])
        return .object([
            (
                "added_tokens",
                .array(
                    special.enumerated().map { id, token in
                        .object([
                            ("id", .int(id)), ("content", .string(token.text)), ("special", .bool(token.isControl)),
                            ("normalized", .bool(false)),
                        ])
                    })
            ),
            (
                "pre_tokenizer",
                .object([("type", .string("Sequence")), ("pretokenizers", .array([split, byteLevel]))])
            ),
            ("decoder", .object([("type", .string("ByteLevel"))])),
            (
                "model",
                .object([
                    ("type", .string("BPE")), ("ignore_merges", .bool(true)),
                    ("vocab", .object(texts.enumerated().map { ($1, .int($0)) })),
                    (ScoredMerges.key, .array(scores)),
                ])
            ),
        ])
    }

    /// The special tokens of tokenizer_config.json where it doesn't name them.
    var specialTokens: [(key: String, text: String)] {
        [("bos_token", "<s>"), ("eos_token", "</s>")].filter { token in special.contains { $0.text == token.1 } }
    }
}

/// Bytes written in base64 (RFC 4648, section 4).
enum Base64 {
    /// - Returns: nil where the text isn't base64, padded to whole groups of four.
    static func decode(_ text: some BidirectionalCollection<UInt8>) -> [UInt8]? {
        let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard text.count.isMultiple(of: 4), padding <= 2 else { return nil }
        var bytes: [UInt8] = []
        var (bits, count): (UInt32, Int) = (0, 0)
        for character in text.dropLast(padding) {
            guard let digit = digit(character) else { return nil }
            bits = bits << 6 | digit
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        return bytes
    }

    private static func digit(_ character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
