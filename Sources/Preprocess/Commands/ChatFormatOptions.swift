import Shared

/// A target model, and how conversations are written for it.
struct ChatFormatOptions: Options {
    static let summary = "A model and its chat template."

    @Option("The target model: a directory with tokenizer.json and config.json, or a GGUF file.", value: "DIR|GGUF")
    var targetModelPath: String
    var template = ChatTemplateOptions()

    /// - Throws: An error that names the file, or says what the template or the model lacks.
    func load(bosToken: String? = nil, eosToken: String? = nil) throws -> (ChatFormat, TargetText) {
        try template.load(targetModelPath, bosToken: bosToken, eosToken: eosToken)
    }
}

extension ChatTemplateOptions {
    /// - Throws: An error that names the file, or says what the template or the model lacks.
    func load(
        _ targetModelPath: String, bosToken: String? = nil, eosToken: String? = nil
    ) throws -> (ChatFormat, TargetText) {
        let model = try ModelFiles(targetModelPath)
        let tokenizer = try Tokenizer(model)
        let settings = try RenderSettings(
            dateString: dateString, variables: chatTemplateKwargs, bosToken: bosToken ?? tokenizer.bosToken,
            eosToken: eosToken ?? tokenizer.eosToken)
        // Some models end their turns with tokens that only their configuration names.
        let ends = try TargetText(model, tokenizer, endOfTurn: nil).endTokens.sorted().map { id in
            String(decoding: try tokenizer.decode([Int(id)]), as: UTF8.self)
        }
        let format = try ChatFormat(chatTemplate, model, settings).endingTurns(at: ends)
        let target = try TargetText(model, tokenizer, endOfTurn: try format.endOfTurnText())
        target.warnOfStrayTokens()
        return (format, target)
    }
}
