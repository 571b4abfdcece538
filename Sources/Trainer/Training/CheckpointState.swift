import Shared

/// What a run needs, beside weights and moments, to go on as if it had never stopped.
struct CheckpointState: Equatable {
    /// Steps done, and optimizer updates among them.
    var step: Int
    var epoch: Int
    var updates: Int
    /// The best evaluation so far.
    var best = BestDraft()
    /// Whether the run was stopped in the midst of an evaluation, which the continuation begins with.
    var isEvaluationDue = false
    var faults = Faults()
    /// The settings that must not change between a run and its continuation, by option.
    var settings: [String: String]
    /// How it came about, for people: version, command line, ranks.
    var provenance: [String: String]

    /// The version of what a checkpoint holds.
    ///
    /// Since 2 it has the best evaluation with its step, its source and the evaluations since, what went wrong so far,
    /// and whether an evaluation is due.
    static let format = 2
    static let fileName = "training_state.json"
    /// In `provenance`: which kernels multiplied.
    static let kernels = "kernels"

    /// What is to be known where others multiply now: results stay as close as ever, and not bit by bit.
    func note(kernels now: String) -> String? {
        guard let saved = provenance[Self.kernels], saved != now else { return nil }
        return "the checkpoint was computed by \(saved), this CPU has \(now): from here on numbers may differ in their "
            + "last digits from those of a run that was never stopped, with --deterministic too"
    }

    func json(digests: [String: String]) -> JSONText {
        let object = { (values: [String: String]) in
            JSONText.object(values.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
        }
        return .object([
            ("format", .int(Self.format)), ("step", .int(step)), ("epoch", .int(epoch)), ("updates", .int(updates)),
            ("best", best.json), ("evaluation_due", .bool(isEvaluationDue)), ("faults", faults.json),
            ("settings", object(settings)), ("provenance", object(provenance)), ("digests", object(digests)),
        ])
    }

    /// Reads a state and the digests of the checkpoint's other files.
    static func read(_ directory: String) throws -> (state: CheckpointState, digests: [String: String]) {
        let root = try JSONFile("\(directory)/\(fileName)").root
        let format = try root.int("format")
        guard format == Self.format else {
            throw try root.required("format").error("is \(format), this version reads checkpoints of \(Self.format)")
        }
        let strings = { (key: String) throws -> [String: String] in
            Dictionary(
                try root.required(key).members.map { ($0.key, try $0.value.asString()) },
                uniquingKeysWith: { a, _ in a })
        }
        let state = CheckpointState(
            step: try root.int("step"), epoch: try root.int("epoch"), updates: try root.int("updates"),
            best: try BestDraft(root.required("best")), isEvaluationDue: try root.bool("evaluation_due"),
            faults: try Faults(root.required("faults")),
            settings: try strings("settings"), provenance: try strings("provenance"))
        return (state, try strings("digests"))
    }
}
