import Shared

/// A target model, and how conversations are written for it.
struct ChatFormatOptions: Options {
    static let summary = "A model and its chat template."

    @Option("Directory of the target model, with tokenizer.json and config.json.", value: "DIR")
    var targetModelPath: String
    @Option(
        "How conversations are written: auto (the model's own template), a built-in template's name, or a file.",
        value: "auto|NAME|FILE.jinja|FILE.json")
    var chatTemplate = ChatFormat.automatic
    @Option("Date that templates write, as '\(RenderSettings.usualDate)' (which is what they write without).")
    var dateString: String?
    @Option("Variables for the template as JSON, as '{\"enable_thinking\": false}'.", value: "JSON")
    var chatTemplateKwargs: String?

    /// - Throws: An error that names the file, or says what the template or the model lacks.
    func load(bosToken: String? = nil, eosToken: String? = nil) throws -> (ChatFormat, TargetText) {
        let tokenizer = try Tokenizer(modelDirectory: targetModelPath)
        let settings = try RenderSettings(
            dateString: dateString, variables: chatTemplateKwargs, bosToken: bosToken ?? tokenizer.bosToken,
            eosToken: eosToken ?? tokenizer.eosToken)
        let format = try ChatFormat(chatTemplate, modelDirectory: targetModelPath, settings)
        let target = try TargetText(
            modelDirectory: targetModelPath, tokenizer, endOfTurn: try format.endOfTurnText())
        return (format, target)
    }
}
