import Shared

/// What a target model says of its texts: its tokenizer, its vocabulary and its special tokens.
struct TargetText: Sendable {
    let tokenizer: Tokenizer
    /// The length of the target's logits, which may be more than the tokenizer's tokens.
    let vocabSize: Int
    /// Tokens that begin and end texts and turns, by name: "bos", "eos", "eos 2", "end of turn".
    let specialTokens: [(name: String, id: Int32)]

    /// - Parameter endOfTurn: The text of the token that ends a turn; nil if that isn't known.
    /// - Throws: `JSONError` or `FileError` that name the file and the key; `StoreError` if the tokenizer's ids don't
    ///   fit the model's vocabulary.
    init(_ model: ModelFiles, _ tokenizer: Tokenizer, endOfTurn: String?) throws {
        self.tokenizer = tokenizer
        let config = try model.json("config.json")?.root
        // Models that also see or hear keep the language model's part apart.
        let language = config?["text_config"] ?? config
        vocabSize = try language.map { try $0.int("vocab_size") } ?? tokenizer.vocabSize
        guard tokenizer.vocabSize <= vocabSize else {
            throw StoreError(
                model.name(of: "config.json"),
                "key 'vocab_size' is \(vocabSize), should be at least \(tokenizer.vocabSize), the tokenizer's")
        }
        var ends = tokenizer.eosID.map { [Int($0)] } ?? []
        ends += try Self.ids(language?["eos_token_id"])
        ends += try Self.ids(model.json("generation_config.json")?.root["eos_token_id"])
        var tokens = tokenizer.bosID.map { [("bos", Int($0))] } ?? []
        for id in ends where !tokens.contains(where: { $0.0 != "bos" && $0.1 == id }) {
            let count = tokens.count { $0.0 != "bos" }
            tokens.append((count == 0 ? "eos" : "eos \(count + 1)", id))
        }
        if let endOfTurn, let id = tokenizer.id(of: endOfTurn) { tokens.append(("end of turn", Int(id))) }
        specialTokens = try Self.checked(tokens, vocabSize, model.path)
    }

    /// The tokens at which the model stops, and what ends turns.
    var endTokens: Set<Int32> { Set(specialTokens.filter { $0.name.hasPrefix("e") }.map(\.id)) }

    private static func checked(
        _ tokens: [(String, Int)], _ vocabSize: Int, _ directory: String
    ) throws(StoreError) -> [(name: String, id: Int32)] {
        if let stray = tokens.first(where: { !(0..<vocabSize).contains($0.1) }) {
            throw StoreError(directory, "its \(stray.0) token is \(stray.1), should be below \(vocabSize)")
        }
        return tokens.map { (name: $0.0, id: Int32($0.1)) }
    }

    private static func ids(_ node: JSONNode?) throws(JSONError) -> [Int] {
        guard let node else { return [] }
        guard node.value.kind == .array else { return [try node.asInt()] }
        return try node.elements.map { (element) throws(JSONError) in try element.asInt() }
    }
}
