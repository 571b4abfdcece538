import Shared

/// What a target's tokenizer is read from: `tokenizer.json`, or what a directory has instead of it.
struct TokenizerFiles {
    let tokenizer: JSONFile
    let config: JSONFile?
    /// The texts of special tokens that `config` doesn't name, by their keys in it.
    let specialTokens: [(key: String, text: String)]

    /// - Throws: `JSONError` or `FileError` that name the file, the key and what is wrong with it or not supported.
    init(_ model: ModelFiles) throws {
        let name =
            try TokenizerIdentity.wholeFiles.first { try model.contents($0) != nil } ?? TokenizerIdentity.tokenizerFile
        guard let contents = try model.contents(name) else { throw try model.files.lackOfTokenizer() }
        let path = model.name(of: name)
        // A GGUF file's tokenizer, too, whose bytes are counted in 32 bits.
        guard contents.count <= TargetFiles.largestFile else {
            throw JSONError("has \(contents.count) bytes, at most \(TargetFiles.largestFile) are supported", at: path)
        }
        config = try model.json(TokenizerIdentity.configFile)
        switch name {
        case TokenizerIdentity.sentencePieceFile:
            let texts = try SentencePieceTexts(
                contents, path: path, config: config?.root,
                specialTokens: model.json(TokenizerIdentity.specialTokensFile)?.root,
                added: model.json(TokenizerIdentity.addedTokensFile)?.root)
            tokenizer = try Self.file(texts.tokenizer, path)
            specialTokens = texts.specialTokens
        case TokenizerIdentity.tekkenFile:
            let texts = try TekkenTexts(JSONFile(contents: contents, path: path).root, path: path)
            tokenizer = try Self.file(texts.tokenizer, path)
            specialTokens = texts.specialTokens
        default:
            tokenizer = try JSONFile(contents: contents, path: path)
            specialTokens = []
        }
    }

    private static func file(_ text: JSONText, _ path: String) throws(JSONError) -> JSONFile {
        try JSONFile(contents: Array(text.compact.utf8), path: "\(path) as tokenizer.json")
    }
}
