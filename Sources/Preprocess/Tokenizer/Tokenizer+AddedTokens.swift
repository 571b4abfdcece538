import Shared

extension Tokenizer {
    /// The added tokens of tokenizer.json, and those of tokenizer_config.json that it lacks or has otherwise.
    ///
    /// As transformers does it: `added_tokens_decoder` wins.
    static func loadAddedTokens(
        _ root: JSONNode, _ config: JSONNode?, _ vocabulary: Vocabulary
    ) throws(JSONError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        var places: [[UInt8]: Int] = [:]
        func add(_ token: AddedToken, _ node: JSONNode) throws(JSONError) {
            if let place = places[token.content] {
                guard tokens[place].id == token.id else {
                    throw node.error("has id \(token.id), but the same token has id \(tokens[place].id) elsewhere")
                }
                tokens[place] = token
            } else {
                places[token.content] = tokens.count
                tokens.append(token)
            }
        }
        for node in root["added_tokens"]?.elements ?? [] {
            try add(try AddedToken(node, id: try node.int("id")), node)
        }
        for (key, node) in config?["added_tokens_decoder"]?.members ?? [] {
            guard let id = Int(key) else { throw node.error("is of no token id") }
            try add(try AddedToken(node, id: id), node)
        }
        return tokens
    }

    /// A token as it is looked for in normalized text.
    static func normalized(_ token: AddedToken, _ normalizers: [Normalizer]) throws(PatternError) -> AddedToken {
        guard !normalizers.isEmpty else { return token }
        let text = PaddedText()
        token.content.withUnsafeBufferPointer { bytes in
            if let start = bytes.baseAddress { text.append(start, count: bytes.count) }
        }
        let view = AlignedView(start: UnsafePointer(text.start), range: 0..<text.count, origins: nil)
        let scratch = NormalizerScratch()
        var token = token
        token.content = Array(try scratch.normalize(view, normalizers, with: Matcher()).bytes)
        return token
    }

    /// The text of `bos_token` or `eos_token`, which is a string or an object with `content`.
    static func specialToken(_ key: String, _ config: JSONNode?) throws(JSONError) -> String? {
        try config?[key].map { node throws(JSONError) in try content(node) }
    }

    /// The text of a token that is given as a string or as an object with `content`.
    static func content(_ node: JSONNode) throws(JSONError) -> String {
        node.value.kind == .object ? try node.string("content") : try node.asString()
    }
}
