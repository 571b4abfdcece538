import Shared

/// How a target model writes texts: its tokenizer, its vocabulary and its special tokens.
struct TargetText: Sendable {
    let tokenizer: Tokenizer
    /// The length of the target's logits, which may be more than the tokenizer's tokens.
    let vocabSize: Int
    /// Tokens that begin and end texts and turns.
    let specialTokens: [SpecialToken]
    private let files: TargetFiles

    /// - Parameter endOfTurn: The text of the token that ends a turn; nil if that isn't known.
    /// - Throws: `JSONError` or `FileError` that name the file and the key; `StoreError` if a special token isn't in the
    ///   model's vocabulary. Other tokens may be beyond it, as padding and images often are: they matter to texts that
    ///   have them.
    init(_ model: ModelFiles, _ tokenizer: Tokenizer, endOfTurn: String?) throws {
        self.tokenizer = tokenizer
        files = model.files
        let config = try model.json("config.json")
        vocabSize =
            try config.map { file throws(JSONError) in try ModelConfiguration.vocabSize(file) } ?? tokenizer.vocabSize
        let generation = try model.json("generation_config.json")
        let ends = try (tokenizer.eosID.map { [Int($0)] } ?? []) + ModelConfiguration.endTokens(config, generation)
        var tokens: [(kind: SpecialToken.Kind, id: Int)] = tokenizer.bosID.map { [(.bos, Int($0))] } ?? []
        for id in ends where !tokens.contains(where: { $0 == (.eos, id) }) { tokens.append((.eos, id)) }
        if let endOfTurn, let id = tokenizer.id(of: endOfTurn) { tokens.append((.endOfTurn, Int(id))) }
        let ids = 0..<vocabSize
        if let stray = tokens.first(where: { !ids.contains($0.id) }) {
            throw StoreError(
                model.path, "its \(stray.kind.rawValue) token is \(stray.id), should be below \(vocabSize)")
        }
        specialTokens = try tokens.map { kind, id in
            SpecialToken(kind, String(decoding: try tokenizer.decode([id]), as: UTF8.self), id: Int32(id))
        }
    }

    /// The tokens at which the model stops, and what ends turns.
    var endTokens: Set<Int32> { specialTokens.ends }

    /// What tells the tokenizer from others.
    ///
    /// - Throws: `FileError` or `JSONError` that name the file.
    func identity() throws -> TokenizerIdentity {
        guard let identity = try TokenizerIdentity(files) else { throw StoreError(files.path, "has no tokenizer") }
        return identity
    }
}
