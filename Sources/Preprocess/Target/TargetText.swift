import Shared

/// How a target model writes texts: its tokenizer, its vocabulary and its special tokens.
struct TargetText: Sendable {
    let tokenizer: Tokenizer
    /// The length of the target's logits, which may be more than the tokenizer's tokens.
    let vocabSize: Int
    /// Tokens that begin and end texts and turns.
    let specialTokens: [SpecialToken]
    /// Special tokens beyond the vocabulary, which the model has no embedding of and never writes.
    private let strayTokens: [(kind: SpecialToken.Kind, id: Int)]
    private let files: TargetFiles

    /// - Parameter endOfTurn: The text of the token that ends a turn; nil if that isn't known.
    /// Tokens may be beyond the vocabulary, as padding and images often are: they matter to texts that have them.
    /// - Throws: `JSONError` or `FileError` that name the file and the key.
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
        strayTokens = tokens.filter { !ids.contains($0.id) }
        tokens.removeAll { !ids.contains($0.id) }
        specialTokens = try tokens.map { kind, id in
            SpecialToken(kind, String(decoding: try tokenizer.decode([id]), as: UTF8.self), id: Int32(id))
        }
    }

    /// Reports special tokens that are left out.
    func warnOfStrayTokens() {
        for stray in strayTokens {
            Log.warning(
                "\(files.path): its \(stray.kind.rawValue) token is \(stray.id), not below the vocabulary, \(vocabSize): "
                    + "the model can't write it, and it is ignored")
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
