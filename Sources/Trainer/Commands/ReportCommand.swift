import Shared

/// `Trainer report`: what training runs came to.
enum ReportCommand {
    struct Options: Shared.Options {
        static let summary = "Shows training runs: a summary, and a page with curves; several runs are compared."

        @Option("The runs: their --output-dir.", value: "DIR...", isPositional: true) var outputDir: [String]
        @Option("Where to write a page with everything.", value: "FILE") var html: String?
    }

    static let command = Command("report", Options.self) { options in
        var runs = try options.outputDir.map { try RunLog($0) }
        // Runs in directories of one name are told apart by their paths.
        let names = runs.map(\.name)
        for (index, name) in names.enumerated() where names.count(where: { $0 == name }) > 1 {
            runs[index].name = runs[index].directory
        }
        print(RunSummary.text(runs))
        if let path = options.html {
            try writeFile(path, TrainingReport(runs).page.utf8)
            Log.line("wrote \(path)")
        }
    }
}
