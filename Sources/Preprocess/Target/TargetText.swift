import Shared

/// What a target model says of its texts: its tokenizer, its vocabulary and its special tokens.
struct TargetText: Sendable {
    let tokenizer: Tokenizer
    /// The length of the target's logits, which may be more than the tokenizer's tokens.
    let vocabSize: Int
    /// Tokens that begin and end texts and turns, by name: "bos", "eos", "eos 2", "end of turn".
    let specialTokens: [(name: String, id: Int32)]

    /// - Parameter endOfTurn: The text of the token that ends a turn; nil if that isn't known.
    /// - Throws: `JSONError` or `FileError` that name the file and the key; `StoreError` if a special token isn't in the
    ///   model's vocabulary. Other tokens may be beyond it, as padding and images often are: they matter to texts that
    ///   have them.
    init(_ model: ModelFiles, _ tokenizer: Tokenizer, endOfTurn: String?) throws {
        self.tokenizer = tokenizer
        let config = try model.json("config.json")
        vocabSize =
            try config.map { file throws(JSONError) in try ModelConfiguration.vocabSize(file) } ?? tokenizer.vocabSize
        let generation = try model.json("generation_config.json")
        let ends = try (tokenizer.eosID.map { [Int($0)] } ?? []) + ModelConfiguration.endTokens(config, generation)
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
}
