@preconcurrency import Glibc
import Shared

/// The program Preprocess: conversations in, a store of samples out.
@main
struct PreprocessCommand {
    /// The commands, the first of which may be left out.
    static let program = Program(
        name: "Preprocess", summary: "turns conversations into the samples that the trainer reads.",
        commands: [
            BuildCommand.command, ListCommand.command, InspectCommand.command, VerifyCommand.command,
            DiffCommand.command, PruneCommand.command, DumpCommand.command, TokenizeCommand.command,
            RenderCommand.command, RegenerateCommand.command, SelectCommand.command,
            CheckTemplateCommand.command,
        ])

    static func main() {
        exit(program.run(Array(CommandLine.arguments.dropFirst())))
    }
}
