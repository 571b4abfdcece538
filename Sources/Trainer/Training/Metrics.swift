@preconcurrency import Glibc
import Shared

/// `metrics.jsonl`: one object a logged step.
struct MetricsFile {
    private let path: String

    /// Opens the file of a run that goes on behind `step`: lines of later steps, of a run that was lost, are removed.
    init(directory: String, after step: Int) throws {
        path = "\(directory)/metrics.jsonl"
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
    func append(_ line: JSONText) throws(FileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileError(path, "open it") }
        defer { close(descriptor) }
        let bytes = Array((line.compact + "\n").utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else { throw FileError(path, "write it") }
    }
}

extension TrainingStatistics {
    /// What was measured, by the names of `metrics.jsonl`; each array has an element a step of training-time test.
    var json: [(String, JSONText)] {
        let numbers = { (values: [Double]) in JSONText.array(values.map(JSONText.number)) }
        return [
            ("losses", numbers(losses)), ("accuracies", numbers(accuracies)),
            ("conditional_accuracies", numbers(conditionalAccuracies)),
            ("acceptance_rates", numbers(acceptanceRates)),
            ("simulated_acceptance_length", .number(simulatedAcceptanceLength)),
            ("supervised_tokens", .int(Int(steps[0].labels))),
        ]
    }

    /// "loss 3.21 | acc 0.41 0.22 … | tau 1.52", for the log.
    var line: String {
        let accuracies = accuracies.map { fixed($0, 2) }.joined(separator: " ")
        return "loss \(fixed(losses[0], 3)) | acc \(accuracies) | tau \(fixed(simulatedAcceptanceLength, 3))"
    }
}
