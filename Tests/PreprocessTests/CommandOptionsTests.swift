import Shared
import TestSupport
import Testing

@testable import Preprocess
@testable import Shared

/// Every option of every command, with values that nobody means.
@Suite(.serialized) struct CommandOptionsTests {
    private static let commands = PreprocessCommand.program.commands
    private static let largest = "\(Int.max)"
    private static let numbers = [
        "\(Int.min)", "-1", "0", "1", largest, "99999999999999999999", "nan", "inf", "1.5", "",
    ]
    private static let texts = ["", "-1", "-h", largest, "{"]
    private static let dates = [
        "1 jan -9223372036854775808", "1 jan \(largest)", "\(largest) jan 2024", "-9223372036854775808-1-1",
        "2024-\(largest)-1", "2024-1-\(largest)", "2024-02-30", "0-0-0",
    ]

    private let scratch: ScratchDirectory
    private let model = Fixtures.folder.appending(path: "tokenizers/tiny").path(percentEncoded: false)

    init() throws { scratch = try ScratchDirectory() }

    @Test(arguments: commands.map(\.name))
    func numbersHaveARangeThatHelpShows(name: String) throws {
        let command = try #require(Self.commands.first { $0.name == name })
        let help = try ProgramRun("Preprocess", [name, "--help"]).finish()
        #expect(help.code == 0)
        for option in command.options where option.isNumeric {
            let range = try #require(option.range, "\(option.name) accepts any number")
            #expect(help.output.contains("(\(range)"), "\(option.name)")
        }
    }

    @Test(arguments: commands.map(\.name))
    func noValueEndsTheProcess(name: String) throws {
        let command = try #require(Self.commands.first { $0.name == name })
        let data = try scratch.write("data.jsonl", conversationLines(10).joined(separator: "\n") + "\n")
        let given = [
            "--train-data-path": data, "--target-model-path": model, "--cache-dir": scratch.file("cache"),
            "--chat-template": "qwen", "--other-data-path": data, "--output": scratch.file("output.jsonl"),
            "--min-tokens": "0",
            // No server is there, and none is waited for.
            "--server": "http://127.0.0.1:9", "--server-timeout": "0",
        ]
        func run(_ command: Command, _ option: String, _ value: String) throws -> (code: Int32, errors: String) {
            let others = given.filter { name, _ in name != option && command.options.contains { $0.name == name } }
            let words = others.flatMap { ["\($0.key)=\($0.value)"] } + [option, value]
            let end = try ProgramRun("Preprocess", [command.name] + words).finish()
            return (end.code, end.errors)
        }
        #expect(try run(BuildCommand.command, "--max-length", "\(BuildSettings.lengths.upperBound)").code == 0)
        for option in command.options where option.takesValue {
            let dates = option.name == "--date-string" ? Self.dates : []
            for value in (option.isNumeric ? Self.numbers : Self.texts) + dates {
                let (code, errors) = try run(command, option.name, value)
                let call = "\(name) \(option.name) '\(value)'"
                #expect([0, 1, 64].contains(code), "\(call): \(code) \(errors)")
                if let range = option.range, code == 64 {
                    #expect(errors.contains(range) || value == "1", "\(call): \(errors)")
                }
                if dates.contains(value) {
                    #expect(code == 64 && errors.contains("--date-string"), "\(call): \(errors)")
                }
            }
        }
    }
}
