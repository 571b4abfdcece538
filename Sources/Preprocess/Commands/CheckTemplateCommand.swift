import Shared

/// `Preprocess check-template`: whether a chat template can be trusted with a model.
struct CheckTemplateOptions: Options {
    static let summary = "Checks that a chat template fits a model: headers, spans, prefixes, bos and ends of turns."

    var format = ChatFormatOptions()
    @Flag("Each of the assistant's turns is to be a row of its own.") var rowPerTurn
    @Flag("Write the findings as one JSON object.") var json
}

enum CheckTemplateCommand {
    static let command = Command("check-template", CheckTemplateOptions.self, body: run)

    @Sendable private static func run(_ options: CheckTemplateOptions) throws {
        let (format, target) = try options.format.load()
        let proof = TemplateProof(format, target, isRowPerTurn: options.rowPerTurn)
        print(options.json ? proof.json.compact : proof.text)
        guard proof.failures.isEmpty else {
            throw TemplateError("the template failed \(proof.failures.count) of \(proof.findings.count) checks")
        }
    }
}
