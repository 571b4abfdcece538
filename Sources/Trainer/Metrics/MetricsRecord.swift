import Shared

/// Where what a run measures goes, a record after the other.
protocol MetricsWriter {
    func append(_ record: MetricsRecord) throws
}

/// What was measured by the end of a step: a line of the metrics, whose names `Metric.all` explains.
struct MetricsRecord {
    /// What a record is about.
    enum Kind: String {
        /// The steps since the last such record.
        case train
        /// The held-out samples, with the draft of this step.
        case heldOut = "held_out"
        /// How the run was started, or resumed, after this step.
        case run
    }

    let kind: Kind
    /// Steps done.
    let step: Int
    let values: [(String, JSONText)]

    /// Training's names stand beside the step, all others within an object named after the kind.
    var json: JSONText {
        .object([("step", .int(step))] + (kind == .train ? values : [(kind.rawValue, .object(values))]))
    }
}

extension JSONText {
    static func numbers(_ values: [Double]) -> JSONText { .array(values.map(JSONText.number)) }

    /// Every number within, by the keys and places that lead to it, as `losses/0`.
    func scalars(_ path: String = "") -> [(tag: String, value: Double)] {
        let below = { (key: String) in path.isEmpty ? key : "\(path)/\(key)" }
        return switch self {
        case .int(let value): [(path, Double(value))]
        case .number(let value): [(path, value)]
        case .array(let values): values.enumerated().flatMap { $1.scalars(below("\($0)")) }
        case .object(let members): members.flatMap { $1.scalars(below($0)) }
        case .string, .bool, .null: []
        }
    }
}
