import Foundation

/// A program of this package, run as a user would run it.
public final class ProgramRun {
    private let process = Process()
    private let scratch: ScratchDirectory

    /// Starts the program, which lies beside the tests, in a directory of its own: a relative path leaves no file elsewhere.
    /// - Parameters:
    ///   - input: The file that its standard input comes from; nothing by default.
    ///   - output: The file that its standard output goes to, if the test doesn't read it.
    ///   - largestFile: The KiB that a file may have which it writes.
    public init(
        _ program: String, _ arguments: [String], input: String? = nil, output: String? = nil, largestFile: Int? = nil
    ) throws {
        scratch = try ScratchDirectory()
        let tests = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        let path = tests.deletingLastPathComponent().appending(path: program)
        if let largestFile {
            process.executableURL = URL(filePath: "/bin/bash")
            process.arguments =
                ["-c", "ulimit -f \(largestFile) && exec \"$0\" \"$@\"", path.path(percentEncoded: false)] + arguments
        } else {
            process.executableURL = path
            process.arguments = arguments
        }
        process.currentDirectoryURL = URL(filePath: scratch.path)
        process.standardInput = try input.map { try FileHandle(forReadingFrom: URL(filePath: $0)) } ?? .nullDevice
        let ownOutput = try Self.file(scratch.file("out"))
        process.standardOutput = try output.map { try FileHandle(forWritingTo: URL(filePath: $0)) } ?? ownOutput
        process.standardError = try Self.file(scratch.file("err"))
        try process.run()
    }

    private static func file(_ path: String) throws -> FileHandle {
        try Data().write(to: URL(filePath: path))
        return try FileHandle(forWritingTo: URL(filePath: path))
    }

    public var isRunning: Bool { process.isRunning }

    public func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits for the program's end; the exit code is negative where a signal ended it.
    public func finish() throws -> (code: Int32, output: String, errors: String) {
        process.waitUntilExit()
        let code = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
        let (output, errors) = (scratch.file("out"), scratch.file("err"))
        return (
            code, try String(contentsOfFile: output, encoding: .utf8),
            try String(contentsOfFile: errors, encoding: .utf8)
        )
    }
}
