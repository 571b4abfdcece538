import Shared

/// `Preprocess check-template`: whether a chat template can be trusted with a model.
struct CheckTemplateOptions: Options {
    static let summary = "Checks that a chat template fits a model, and shows which data it fits."

    var format = ChatFormatOptions()
    @Flag("Check for build --row-per-turn: each of the assistant's turns ends a text of its own.") var rowPerTurn
    @Flag("Check for build --train-only-last-turn.") var trainOnlyLastTurn
    @Flag("Write the findings as one JSON object.") var json
}

enum CheckTemplateCommand {
    static let command = Command("check-template", CheckTemplateOptions.self, body: run)

    @Sendable private static func run(_ options: CheckTemplateOptions) throws {
        let (format, target) = try options.format.load()
        let proof = TemplateProof(
            format, TemplateFit(format), target,
            TemplateFit.Mode(isRowPerTurn: options.rowPerTurn, onlyLastTurn: options.trainOnlyLastTurn))
        print(options.json ? proof.json.compact : proof.text)
        guard proof.failures.isEmpty else {
            throw TemplateError("the template failed \(proof.failures.count) of \(proof.findings.count) checks")
        }
    }
}
