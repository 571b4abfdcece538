import Shared

@main
struct TrainerCommand {
    static let program = Program(
        name: "Trainer", summary: "trains EAGLE-3 drafts and measures them.",
        commands: [
            TrainCommand.command, CaptureCommand.command,
            EvaluateCommand.command.or(EvaluateServer.command, with: "--server"), ExportCommand.command,
            RegenerateCommand.command, ReportCommand.command,
            ProbeCommand.command, MeasureCommand.command, BenchmarkCommand.command, PlanCommand.command,
            ConfigCommand.command,
        ])

    static func main() {
        Interrupt.install()
        Ranks.end(program.run(Array(CommandLine.arguments.dropFirst())))
    }
}
