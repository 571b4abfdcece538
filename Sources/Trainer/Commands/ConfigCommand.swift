import Shared

/// `Trainer config`: the draft's configuration that training would generate.
enum ConfigCommand {
    struct Options: Shared.Options {
        static let summary = "Prints the draft configuration that training would generate for a target."

        @Option("The target: a directory with config.json, or a GGUF file.", value: "DIR|GGUF")
        var targetModelPath: String
        @Option(DraftOptions.architectureHelp, value: "NAME") var draftArchitecture: String?
        @Option(
            "Tokens that the draft knows; the architecture's default, as 32000, if left out.",
            in: ModelConfiguration.vocabSizes)
        var draftVocabSize: Int?
        @Option("The engine that will serve the draft, whose configuration is one that it reads.")
        var serveWith: InferenceEngine?
    }

    static let command = Command("config", Options.self) { options in
        let target = try ModelConfiguration(directory: options.targetModelPath)
        let draft = try DraftRegistry.standard.generated(
            options.draftArchitecture, target: target, draftVocabSize: options.draftVocabSize, for: options.serveWith)
        try options.serveWith?.require(target, draft)
        print(draft.json.pretty, terminator: "")
    }
}
