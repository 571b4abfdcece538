/// What a store's tokens mean: whether they are a target's own.
public struct TargetIdentity: Equatable, Sendable {
    /// The length of the target's logits, which may be more or less than the tokenizer's tokens.
    public var vocabSize: Int
    /// nil where the target's files have no tokenizer that could be compared.
    public var tokenizer: TokenizerIdentity?
    /// The ids of tokens that end a text, by the model's configuration.
    public var endTokens: [Int]

    /// - Throws: `FileError`, `WeightsError` or `JSONError` that name the file and what is wrong with it.
    public init(_ path: String, _ configuration: ModelConfiguration) throws {
        let files = try TargetFiles(path)
        vocabSize = configuration.vocabSize
        tokenizer = try TokenizerIdentity(files)
        let generation = try files.json("generation_config.json")?.root["eos_token_id"]
        endTokens = configuration.eosTokenIDs
        for id in try ModelConfiguration.tokens(generation) where !endTokens.contains(id) { endTokens.append(id) }
    }
}
