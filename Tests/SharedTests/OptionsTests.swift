import Testing

@testable import Shared

private enum Level: String, CaseIterable, OptionValue { case low, high }

private struct Inner: Options {
    @Option("Seed of the random order.") var seed: Int = 0
}

private struct Example: Options {
    static let summary = "Shows options."
    @Option("A path.", value: "DIR") var cacheDir: String
    @Option("A rate.") var learningRate: Float = 1e-4
    @Option("Files.", value: "FILE...") var trainDataPath: [String] = []
    @Option("A choice.") var level: Level = .low
    @Option("A limit.") var maxSamples: Int?
    @Flag("A switch.") var resume
    var inner = Inner()

    func validate() throws(OptionsError) {
        if learningRate <= 0 { throw .rule("--learning-rate must be above 0") }
    }
}

private struct Positional: Options {
    @Option("Directories.", value: "DIR...", isPositional: true) var outputDir: [String]
    @Option("A page.", value: "FILE") var html: String?
}

struct OptionsTests {
    @Test func valuesWithoutANameBelongToThePositionalOption() throws {
        for arguments in [["a", "b", "--html", "p"], ["--html", "p", "a", "b"], ["a", "--output-dir=b", "--html=p"]] {
            let options = try Positional.parse(arguments)
            #expect(options.outputDir == ["a", "b"] && options.html == "p")
        }
        #expect(throws: OptionsError.missingOption("--output-dir")) { try Positional.parse([]) }
        #expect(Positional.help.hasPrefix("  DIR..., --output-dir DIR...\n"))
    }

    @Test func readsEveryKindOfValue() throws {
        let options = try Example.parse([
            "--cache-dir", "cache", "--learning-rate=0.5", "--train-data-path", "a", "b", "--train-data-path", "c",
            "--level", "high", "--resume", "--seed", "7", "--max-samples", "3",
        ])
        #expect(options.cacheDir == "cache" && options.learningRate == 0.5 && options.level == .high)
        #expect(options.trainDataPath == ["a", "b", "c"] && options.resume && options.inner.seed == 7)
        #expect(options.maxSamples == 3)
    }

    @Test func keepsDefaults() throws {
        let options = try Example.parse(["--cache-dir", "c"])
        #expect(options.learningRate == 1e-4 && options.maxSamples == nil && !options.resume)
        #expect(options.trainDataPath.isEmpty && options.inner.seed == 0)
    }

    @Test(arguments: [
        (["--cach-dir", "c"], OptionsError.unknownOption("--cach-dir", nearest: "--cache-dir")),
        (["--cache-dir"], .missingValue("--cache-dir", expected: "DIR")),
        (["--cache-dir", "c", "--level", "mid"], .invalidValue("mid", for: "--level", expected: "low|high")),
        (["--cache-dir", "c", "--seed", "1.5"], .invalidValue("1.5", for: "--seed", expected: "INT")),
        (["--resume=yes", "--cache-dir", "c"], .invalidValue("yes", for: "--resume", expected: "no value")),
        (["--resume"], .missingOption("--cache-dir")),
        (["stray"], .unexpectedArgument("stray")),
        (["--cache-dir", "c", "--learning-rate", "0"], .rule("--learning-rate must be above 0")),
    ])
    func refusesWithAReason(arguments: [String], error: OptionsError) {
        #expect(throws: error) { try Example.parse(arguments) }
    }

    @Test func helpNamesEveryOptionWithItsDefault() {
        for expected in [
            "--cache-dir DIR\n      A path. (required)", "--learning-rate NUMBER\n      A rate. (default 0.0001)",
            "--level low|high\n      A choice. (default low)", "--max-samples INT\n      A limit.\n", "--resume\n",
            "--seed INT",
        ] {
            #expect(Example.help.contains(expected))
        }
    }

    @Test func formatsNumbersForPeople() {
        #expect(shortNumber(0) == "0" && shortNumber(12345) == "12.3k" && shortNumber(4_560_000) == "4.56M")
        #expect(shortTime(45) == "45 s" && shortTime(192) == "3 min 12 s" && shortTime(7500) == "2 h 5 min")
        #expect(fixed(0.125, 2) == "0.13" && fixed(-1.5, 1) == "-1.5" && fixed(3, 0) == "3")
        #expect(fixed(0.05, 3) == "0.050")
    }
}
