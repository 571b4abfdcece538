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

private struct Bounded: Options {
    @Option("A count.", in: 1...64) var count = 8
    @Option("Sizes.", value: "INT...", in: 1...) var sizes: [Int] = []
    @Option("A limit.", in: ...9) var limit: Int?
    @Option("A rate.", in: .above(0)) var rate: Float = 0.5
    @Option("A share.", in: .above(0, through: 1)) var share: Float?
    @Option("A decay.", in: 0..<1) var decay: Float = 0
}

private struct Grouped: Options {
    var groups: [any Options] = [Inner(), Bounded()]
    @Option("A path.", value: "DIR") var cacheDir: String?
    @Option("Names.", value: "NAME...") var names: [String] = []
}

struct OptionsTests {
    @Test func groupsInAnArrayHaveTheirOptionsInTheCommand() throws {
        let options = try Grouped.parse(["--count", "9", "--seed", "4", "--cache-dir", "d"])
        #expect((options.groups[0] as? Inner)?.seed == 4 && (options.groups[1] as? Bounded)?.count == 9)
        #expect(Grouped.names.prefix(2) == ["--seed", "--count"] && Grouped.help.contains("--share NUMBER"))
        #expect(try Grouped.parse([]).groups.count == 2 && (Grouped.parse([]).groups[0] as? Inner)?.seed == 0)
        #expect(throws: OptionsError.outOfRange("65", for: "--count", range: "1 to 64")) {
            try Grouped.parse(["--count", "65"])
        }
    }

    @Test(arguments: [
        ("--count", ["0", "65", "-1", "9223372036854775807", "-9223372036854775808"], "1 to 64"),
        ("--sizes", ["0", "-9223372036854775808"], "at least 1"),
        ("--limit", ["10", "9223372036854775807"], "at most 9"),
        ("--rate", ["0", "-1", "-0.0"], "above 0.0"), ("--share", ["0", "1.5"], "above 0.0 and at most 1.0"),
        ("--decay", ["1", "-0.25"], "at least 0.0 and below 1.0"),
    ])
    func refusesNumbersOutsideOfARange(name: String, values: [String], range: String) {
        for value in values {
            let error = OptionsError.outOfRange(value, for: name, range: range)
            #expect(throws: error) { try Bounded.parse([name, value]) }
            #expect("\(error)" == "\(name) is \(value), should be \(range)")
        }
        for value in ["nan", "inf", "1e999", "-1e999", "x", ""] {
            do {
                _ = try Bounded.parse(["\(name)=\(value)"])
                Issue.record("\(name) accepts '\(value)'")
            } catch {
                #expect("\(error)".contains(range))
            }
        }
        #expect(Bounded.help.contains("(\(range)"))
    }

    @Test func acceptsTheBoundsOfARange() throws {
        let low = try Bounded.parse([
            "--count", "1", "--sizes", "1", "2", "--limit", "9", "--share", "1", "--decay", "0",
        ])
        #expect(low.count == 1 && low.sizes == [1, 2] && low.limit == 9 && low.share == 1)
        #expect(try Bounded.parse(["--count=64"]).count == 64)
        #expect(Bounded.help.contains("--count INT\n      A count. (1 to 64, default 8)"))
        #expect(throws: OptionsError.outOfRange("0", for: "--sizes", range: "at least 1")) {
            try Bounded.parse(["--sizes", "3", "0"])
        }
    }

    @Test func aValueIsNoRequestForHelp() throws {
        #expect(try Example.parse(["--cache-dir", "-h"]).cacheDir == "-h")
        #expect(
            try Example.parse(["--train-data-path", "a", "-h", "--cache-dir=--help"]).trainDataPath == ["a", "-h"])
        for arguments in [
            ["-h"], ["--help"], ["--cache-dir", "c", "-h"], ["--bogus", "--help"], ["--seed", "--help"],
        ] {
            #expect(throws: OptionsError.help) { try Example.parse(arguments) }
        }
    }

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

    @Test func aNameOfAnotherTrainersIsUnderstood() throws {
        struct Batches: Options {
            @Option("Sequences.", alias: "--draft-micro-batch-size", in: 1...8) var batchSize: Int = 1
        }
        #expect(try Batches.parse(["--draft-micro-batch-size", "4"]).batchSize == 4)
        #expect(try Batches.parse(["--batch-size=4"]).batchSize == 4)
        #expect(Batches.help.contains("Sequences. (1 to 8, default 1, also --draft-micro-batch-size)"))
        #expect(throws: OptionsError.outOfRange("9", for: "--draft-micro-batch-size", range: "1 to 8")) {
            try Batches.parse(["--draft-micro-batch-size", "9"])
        }
    }

    /// What is typed stays, whatever its value; what isn't gets another default, and isn't typed by that.
    @Test func otherDefaultsFillWhatIsLeftOut() throws {
        let options = try Grouped.parse(["--count", "8", "--names", "a"])
        let settings = [
            OptionSetting(name: "--count", values: ["9"]), OptionSetting(name: "--seed", values: ["5"]),
            OptionSetting(name: "--rate", values: ["0.25"]), OptionSetting(name: "--other", values: ["1"]),
        ]
        #expect(try options.fill(settings).map(\.name) == ["--seed", "--rate"])
        let bounded = try #require(options.groups[1] as? Bounded)
        #expect(bounded.count == 8 && bounded.rate == 0.25 && (options.groups[0] as? Inner)?.seed == 5)
        #expect(options.typed == ["--count", "--names"])
        #expect(throws: OptionsError.outOfRange("0", for: "--rate", range: "above 0.0")) {
            try options.fill([OptionSetting(name: "--rate", values: ["0"])])
        }
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
        (["--cache-dir", "c", "--max-samples", "x"], .invalidValue("x", for: "--max-samples", expected: "INT")),
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
