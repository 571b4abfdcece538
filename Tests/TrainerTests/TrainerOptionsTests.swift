import TestSupport
import Testing

@testable import Shared
@testable import Trainer

/// Every number that an option of Trainer's accepts is within a range that its declaration names.
struct TrainerOptionsTests {
    private static let commands = TrainerCommand.program.commands

    /// Every option of a command and a value for each that is required.
    private static func required(_ command: Command) -> [String] {
        command.options.filter(\.isRequired).flatMap { ["\($0.name)=none"] }
    }

    @Test func everyNumberHasARange() {
        for command in Self.commands {
            for option in command.options where option.isNumeric {
                #expect(option.range != nil, "\(command.name) \(option.name)")
            }
        }
    }

    /// Refused before MPI is started or a file is opened, or accepted and then refused for what isn't there.
    @Test(arguments: ["\(Int.min)", "-1", "nan", "inf", "1e39", "99999999999999999999", ""])
    func numbersBeyondAllMeaningAreRefusedByTheirRange(value: String) throws {
        for command in Self.commands {
            for option in command.options where option.isNumeric {
                let end = try ProgramRun("Trainer", [command.name, "\(option.name)=\(value)"] + Self.required(command))
                    .finish()
                let call = "\(command.name) \(option.name)=\(value)"
                #expect(end.code == 64, "\(call): \(end.code) \(end.errors)")
                #expect(
                    end.errors.contains(option.range ?? "?") && end.errors.contains(option.name),
                    "\(call): \(end.errors)")
            }
        }
    }

    @Test func theNamesOfAnotherTrainersBatchesAreUnderstood() throws {
        let options = try TrainOptions.parse([
            "--target-model-path", "t", "--train-data-path", "d", "--output-dir", "o", "--draft-micro-batch-size", "3",
        ])
        #expect(options.optimizer.batchSize == 3)
    }

    /// Options of which one has no effect, or undoes the other.
    @Test(arguments: [
        (["--deterministic", "--reduce-dtype", "bfloat16"], "--reduce-dtype bfloat16"),
        (["--eval-loss-samples", "5"], "--eval-loss-samples needs --eval-data-path"),
        (["--draft-length", "3"], "--draft-length needs --eval-data-path"),
        (["--eval-max-samples", "3"], "--eval-max-samples needs --eval-data-path"),
        (["--eval-data-path", "e", "--eval-max-samples", "0", "--draft-length", "3"], "no prompt is decoded"),
        (["--target-cache-size", "3"], "--target-cache-size has no effect without --target-cache"),
        (["--target-cache-dtype", "float32"], "--target-cache-dtype has no effect without --target-cache"),
        (["--reduce-dtype", "float16"], "--reduce-dtype"),
        (["--muon-momentum", "0.9"], "--optimizer muon alone"),
        (["--muon-learning-rate", "1e-3"], "--optimizer muon alone"),
        (
            ["--optimizer", "muon", "--learning-rate", "0", "--muon-learning-rate", "1e-3"],
            "follows the schedule of --learning-rate"
        ),
    ])
    func whatDoesNotGoTogetherIsRefused(arguments: [String], message: String) throws {
        let required = ["--target-model-path", "t", "--train-data-path", "d", "--output-dir", "o"]
        let error = #expect(throws: OptionsError.self) { try TrainOptions.parse(required + arguments) }
        #expect(error.map { "\($0)".contains(message) } == true, "\(String(describing: error))")
    }

    @Test(arguments: [["--top-p", "0.5"], ["--top-k", "3"], ["--min-p", "0.1"], ["--seed", "1"]])
    func nothingIsDrawnAtTemperatureZero(arguments: [String]) {
        let required = ["--target-model-path", "t", "--train-data-path", "d", "--output", "o", "--temperature", "0"]
        #expect(throws: OptionsError.self) { try RegenerateCommand.Options.parse(required + arguments) }
    }

    /// SpecForge's count epochs where these count steps: who comes from there reads it in the help.
    @Test func intervalsSayThatTheyCountSteps() {
        for name in ["--eval-interval", "--save-interval"] {
            let text = TrainOptions.help.split(separator: "\n").drop { !$0.contains(name) }.prefix(2)
            #expect(text.joined().contains("Steps (not epochs)"), "\(name): \(text)")
        }
    }
}
