@preconcurrency import Glibc
import Shared

/// `metrics.jsonl`: one object a record.
struct MetricsFile: MetricsWriter {
    static let name = "metrics.jsonl"
    private let path: String

    /// Opens the file of a run that continues after `step`: lines of later steps, of a run that was lost, are removed.
    init(directory: String, after step: Int) throws {
        path = "\(directory)/\(Self.name)"
        try makeDirectory(directory)
        guard fileExists(path) else { return }
        let parser = JSONParser()
        let kept = try readFile(path).split(separator: UInt8(ascii: "\n")).filter { line in
            guard let written = try? parser.parse(line)["step"]?.int else { return false }
            return written <= step
        }
        try writeFile(path, kept.flatMap { $0 + [UInt8(ascii: "\n")] })
    }

    /// Adds a line, in one write.
    func append(_ record: MetricsRecord) throws(FileError) {
        try appendToFile(path, Array((record.json.compact + "\n").utf8))
    }
}

/// Adds bytes to the end of a file in one write, so that a reader sees all of them or none.
func appendToFile(_ path: String, _ bytes: [UInt8]) throws(FileError) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw FileError(path, "open it") }
    defer { close(descriptor) }
    guard write(descriptor, bytes, bytes.count) == bytes.count else { throw FileError(path, "write it") }
}
