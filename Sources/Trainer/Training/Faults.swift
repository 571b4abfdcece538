import Shared

/// What went wrong in a run that went on: counted, logged, and kept in its checkpoints.
struct Faults: Equatable {
    /// Steps whose loss or gradient wasn't finite, and which left the weights as they were.
    var skippedSteps = 0
    /// Those of them since the last step that wasn't skipped.
    var skippedInARow = 0
    /// Samples that couldn't be read and were left out, each as often as a step needed it.
    var badSamples = 0

    /// Steps in a row that may be skipped: then the run has diverged, and going on changes nothing.
    static let mostSkippedInARow = 10

    /// - Throws: `TrainingError` when too many steps have been skipped.
    mutating func note(_ report: TrainingLoop.StepReport) throws(TrainingError) {
        badSamples += report.badSamples.count
        guard report.isSkipped else {
            skippedInARow = 0
            return
        }
        skippedSteps += 1
        skippedInARow += 1
        let samples = report.nonFiniteSamples.isEmpty ? report.samples : report.nonFiniteSamples
        Log.line(
            "warning: step \(report.step): the loss or the gradient isn't finite, the step is skipped "
                + "(\(skippedSteps) so far); samples \(samples)")
        guard skippedInARow < Self.mostSkippedInARow else {
            throw TrainingError(
                message: "\(skippedInARow) steps in a row had a loss or a gradient that isn't finite: the draft has "
                    + "diverged; --resume goes on from the last checkpoint, a lower --learning-rate needs a new run")
        }
    }

    var json: JSONText {
        .object([
            ("skipped_steps", .int(skippedSteps)), ("skipped_in_a_row", .int(skippedInARow)),
            ("bad_samples", .int(badSamples)),
        ])
    }

    init() {}

    init(_ node: JSONNode) throws(JSONError) {
        skippedSteps = try node.int("skipped_steps")
        skippedInARow = try node.int("skipped_in_a_row")
        badSamples = try node.int("bad_samples")
    }
}

/// Why training stopped.
struct TrainingError: Error, CustomStringConvertible {
    let message: String
    var description: String { message }
}
