@preconcurrency import Glibc

/// One command of a program, as `build` of `Preprocess build`.
public struct Command: Sendable {
    public let name: String
    public let summary: String
    /// The options that it takes.
    public let options: [OptionDeclaration]
    fileprivate let help: String
    fileprivate let run: @Sendable ([String]) throws -> Void

    /// A command that reads its options and then runs `body`.
    public init<O: Options>(_ name: String, _ options: O.Type, body: @escaping @Sendable (O) throws -> Void) {
        self.name = name
        summary = O.summary
        help = O.help
        self.options = O.declared
        run = { try body(try O.parse($0)) }
    }

    /// This command, which an option makes another one of: with the options that the other has.
    public func or(_ other: Command, with option: String) -> Command {
        let own = self
        return Command(
            name: name, summary: summary, options: options,
            help: "\(help)\n\nWith \(option): \(other.summary)\n\n\(other.help)"
        ) { arguments in
            let isOther = arguments.contains { $0 == option || $0.hasPrefix("\(option)=") }
            try (isOther && !arguments.contains("--help") ? other : own).run(arguments)
        }
    }

    private init(
        name: String, summary: String, options: [OptionDeclaration], help: String,
        run: @escaping @Sendable ([String]) throws -> Void
    ) {
        (self.name, self.summary, self.options, self.help, self.run) = (name, summary, options, help, run)
    }
}

/// A program of several commands, the first of which may be left out.
public struct Program: Sendable {
    let name: String
    let summary: String
    let commands: [Command]

    public init(name: String, summary: String, commands: [Command]) {
        precondition(!commands.isEmpty)
        self.name = name
        self.summary = summary
        self.commands = commands
    }

    /// Runs the command that `arguments` name and returns the program's exit code.
    ///
    /// An error is one line on standard error. `failed` hears of every error before its line is printed and may take
    /// over, as a rank that must end the others does.
    public func run(_ arguments: [String], failed: (any Error) -> Void = { _ in }) -> Int32 {
        // A file that may not grow any more is an error of the write, and not the program's end.
        signal(SIGXFSZ, SIG_IGN)
        do {
            var rest = arguments[...]
            if rest.first == "--version" {
                print("\(name) \(Eyrie.version)")
                return ExitCode.done
            }
            let isCommandNamed = rest.first.map { !$0.hasPrefix("-") } ?? false
            if !isCommandNamed, rest.first == "--help" || rest.first == "-h" || rest.isEmpty {
                print(help)
                return rest.isEmpty ? ExitCode.usage : ExitCode.done
            }
            let command = isCommandNamed ? try named(rest.removeFirst()) : commands[0]
            do {
                try command.run(Array(rest))
            } catch OptionsError.help {
                print("\(name) \(command.name): \(command.summary)\n\n\(command.help)")
            }
            // What was printed may have gone nowhere: a full disk, a closed pipe.
            guard fflush(stdout) == 0, ferror(stdout) == 0 else { throw FileError("standard output", "write it") }
            return ExitCode.done
        } catch let error as OptionsError {
            failed(error)
            Log.error("\(name): \(error)")
            return ExitCode.usage
        } catch is Interrupted {
            failed(Interrupted())
            Log.line("interrupted")
            return ExitCode.interrupted
        } catch {
            failed(error)
            Log.error("\(error)")
            return ExitCode.failed
        }
    }

    private func named(_ name: String) throws(OptionsError) -> Command {
        guard let command = commands.first(where: { $0.name == name }) else {
            throw .unknownCommand(name, nearest: nearest(to: name, among: commands.map(\.name)))
        }
        return command
    }

    private var help: String {
        let width = commands.map(\.name.count).max() ?? 0
        let list = commands.enumerated().map { index, command in
            let padding = String(repeating: " ", count: width - command.name.count)
            return "  \(command.name)\(padding)  \(command.summary)\(index == 0 ? " May be left out." : "")"
        }
        return """
            \(name) \(Eyrie.version): \(summary)

            Usage: \(name) [command] [options]

            \(list.joined(separator: "\n"))

            \(name) COMMAND --help lists a command's options. Exit codes: 0 done, 1 failed, 64 wrong usage, 130 \
            interrupted.
            """
    }
}
