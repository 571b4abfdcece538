import Shared

/// A token that is looked for in the text itself, before it is split: an element of `added_tokens`.
struct AddedToken: Equatable, Sendable {
    let id: Int32
    var content: [UInt8]
    /// Whether it counts only between characters that aren't of words.
    let isSingleWord: Bool
    /// Whether it takes the spaces before it.
    let stripsLeft: Bool
    /// Whether it takes the spaces after it.
    let stripsRight: Bool
    /// Whether it is looked for in the normalized text.
    let isNormalized: Bool
    let isSpecial: Bool

    init(_ node: JSONNode, id: Int) throws(JSONError) {
        guard (0..<Vocabulary.limit).contains(id) else {
            throw node.error("has id \(id), should be 0 to \(Vocabulary.limit - 1)")
        }
        self.id = Int32(id)
        let text = try node.string("content")
        content = Array(text.utf8)
        guard content.count <= Vocabulary.longestSearched else {
            throw node.error("has \(content.count) bytes, at most \(Vocabulary.longestSearched) are supported")
        }
        isSpecial = try node.bool("special", default: false)
        isSingleWord = try node.bool("single_word", default: false)
        stripsLeft = try node.bool("lstrip", default: false)
        stripsRight = try node.bool("rstrip", default: false)
        isNormalized = try node.bool("normalized", default: !isSpecial)
        // Such a token would match text that belongs to another match; tokenizers then fails on the text.
        guard !stripsLeft && !stripsRight || text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
            throw node.error("'\(text)' is of spaces and takes those beside it, which is not supported")
        }
    }
}

/// Finds added tokens in a text, the longest of those that begin first.
struct AddedTokenFinder: Sendable {
    /// A found token, spaces that it takes included.
    struct Match: Equatable {
        let id: Int32
        let start: Int
        let end: Int
    }

    private let tokens: [AddedToken]
    private let isFirstByte: [Bool]
    private var trie = ByteTrie()

    init(_ tokens: [AddedToken]) {
        self.tokens = tokens.filter { !$0.content.isEmpty }
        var isFirstByte = [Bool](repeating: false, count: 256)
        for token in self.tokens { isFirstByte[Int(token.content[0])] = true }
        self.isFirstByte = isFirstByte
        for (number, token) in self.tokens.enumerated() { trie.insert(token.content, Int32(number)) }
    }

    var isEmpty: Bool { tokens.isEmpty }

    /// The first token at or after `position`; `previousEnd` is where the match before it ended, spaces included.
    ///
    /// - Parameter next: Is set to where to look for the next one.
    func next(
        in text: UnsafeBufferPointer<UInt8>, from position: Int, previousEnd: Int, next: inout Int
    ) -> Match? {
        guard let start = text.baseAddress else { return nil }
        return isFirstByte.withUnsafeBufferPointer { isFirstByte in
            var i = position
            while i < text.count {
                guard isFirstByte[Int(start[i])], let (number, end) = longest(in: text, at: i) else {
                    i &+= 1
                    continue
                }
                next = end
                if let match = match(tokens[number], at: i..<end, in: text, previousEnd: previousEnd) { return match }
                i = end
            }
            return nil
        }
    }

    private func longest(in text: UnsafeBufferPointer<UInt8>, at start: Int) -> (token: Int, end: Int)? {
        var found: (token: Int, end: Int)?
        trie.forEachPrefix(of: text, from: start) { token, end in found = (Int(token), end) }
        return found
    }

    private func match(
        _ token: AddedToken, at range: Range<Int>, in text: UnsafeBufferPointer<UInt8>, previousEnd: Int
    ) -> Match? {
        if token.isSingleWord {
            let neighbours = [text.scalar(before: range.lowerBound), text.scalar(at: range.upperBound)]
            if neighbours.contains(where: { $0.map(ScalarKind.word.contains) ?? false }) { return nil }
        }
        var (start, end) = (range.lowerBound, range.upperBound)
        if token.stripsLeft {
            while let scalar = text.scalar(before: start), scalar.properties.isWhitespace {
                start -= scalar.utf8.count
            }
            start = max(start, previousEnd)
        }
        if token.stripsRight {
            while let scalar = text.scalar(at: end), scalar.properties.isWhitespace {
                end += scalar.utf8.count
            }
        }
        return Match(id: token.id, start: start, end: end)
    }
}

extension Tokenizer {
    /// The added tokens of tokenizer.json, and those of tokenizer_config.json that it lacks or has otherwise.
    ///
    /// As transformers does it: `added_tokens_decoder` wins.
    static func loadAddedTokens(
        _ root: JSONNode, _ config: JSONNode?, _ vocabulary: Vocabulary
    ) throws(JSONError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        var indices: [[UInt8]: Int] = [:]
        func add(_ token: AddedToken, _ node: JSONNode) throws(JSONError) {
            if let index = indices[token.content] {
                guard tokens[index].id == token.id else {
                    throw node.error("has id \(token.id), but the same token has id \(tokens[index].id) elsewhere")
                }
                tokens[index] = token
            } else {
                indices[token.content] = tokens.count
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
        guard token.content.count <= Vocabulary.longestSearched else {
            throw PatternError(
                "it becomes \(token.content.count) bytes, at most \(Vocabulary.longestSearched) are supported")
        }
        let content = String(decoding: token.content, as: UTF8.self)
        if token.stripsLeft || token.stripsRight, content.unicodeScalars.allSatisfy({ $0.properties.isWhitespace }) {
            throw PatternError("it becomes spaces and takes those beside it, which is not supported")
        }
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
