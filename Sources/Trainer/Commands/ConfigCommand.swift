import Shared

/// `Trainer config`: the draft's configuration that training would generate.
enum ConfigCommand {
    struct Options: Shared.Options {
        static let summary = "Prints the draft configuration that training would generate for a target."

        @Option("The target: a directory with config.json, or a GGUF file.", value: "DIR|GGUF")
        var targetModelPath: String
        @Option("Tokens that the draft knows.", in: ModelConfiguration.vocabSizes)
        var draftVocabSize: Int = Eagle3Configuration.defaultDraftVocabSize
    }

    static let command = Command("config", Options.self) { options in
        let target = try ModelConfiguration(directory: options.targetModelPath)
        let draft = try Eagle3Configuration(target: target, draftVocabSize: options.draftVocabSize)
        print(draft.json.pretty, terminator: "")
    }
}
