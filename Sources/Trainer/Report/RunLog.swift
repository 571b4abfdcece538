import Shared

/// A run's metrics, read back from its output directory.
struct RunLog {
    /// A line of the metrics: every number by its tag, as `losses/0`.
    struct Point {
        let step: Int
        let values: [String: Double]
    }

    let directory: String
    /// What the run is called in a report.
    var name: String
    /// How the run was started, and resumed: the step that it went on from, and what describes it.
    private(set) var starts: [(step: Int, values: [(name: String, value: String)])] = []
    private(set) var training: [Point] = []
    private(set) var heldOut: [Point] = []

    /// - Throws: An error that names the file, and the line if one isn't what training writes.
    init(_ directory: String) throws {
        self.directory = directory
        name = directory.split(separator: "/").last.map(String.init) ?? directory
        let path = "\(directory)/\(MetricsFile.name)"
        let bytes = try readFile(path)
        let parser = JSONParser()
        // The last line of a run that was killed, or that is writing it now, may lack its end.
        let whole = bytes.lastIndex(of: UInt8(ascii: "\n")).map { bytes[...$0] } ?? []
        for (index, line) in whole.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
        where !line.isEmpty {
            do {
                try add(try parser.parse(line))
            } catch {
                throw JSONError(error.message, at: "\(path):\(index + 1)")
            }
        }
        guard !training.isEmpty || !heldOut.isEmpty else { throw JSONError("has no line of a step yet", at: path) }
    }

    private mutating func add(_ line: JSONValue) throws(JSONError) {
        guard let step = line["step"]?.int else { throw JSONError("is no line of metrics: it has no step") }
        if let run = line[MetricsRecord.Kind.run.rawValue] {
            starts.append((step, Self.texts(JSONText(run))))
        } else if let values = line[MetricsRecord.Kind.heldOut.rawValue] {
            heldOut.append(Point(step: step, values: Self.numbers(JSONText(values))))
        } else {
            training.append(Point(step: step, values: Self.numbers(JSONText(line))))
        }
    }

    private static func numbers(_ value: JSONText) -> [String: Double] {
        Dictionary(value.scalars(), uniquingKeysWith: { first, _ in first })
    }

    /// Names and values, those of an inner object after the others.
    private static func texts(_ value: JSONText) -> [(name: String, value: String)] {
        guard case .object(let members) = value else { return [] }
        return members.flatMap { name, value in
            if case .object = value { texts(value) } else { [(name, value.plain)] }
        }
    }

    // MARK: - Series

    /// A number over the steps.
    func series(_ points: KeyPath<RunLog, [Point]>, _ tag: String) -> [(x: Double, y: Double)] {
        self[keyPath: points].compactMap { point in point.values[tag].map { (Double(point.step), $0) } }
    }

    /// How many positions ahead were measured: elements of a list.
    func positions(_ points: KeyPath<RunLog, [Point]>, _ name: String) -> Int {
        let last = self[keyPath: points].last
        return (0...).prefix { last?.values["\(name)/\($0)"] != nil }.count
    }

    /// A sum over all steps.
    func total(_ tag: String, _ points: KeyPath<RunLog, [Point]> = \.training) -> Double {
        self[keyPath: points].reduce(0) { $0 + ($1.values[tag] ?? 0) }
    }

    var steps: Int { max(training.last?.step ?? 0, heldOut.last?.step ?? 0) }

    /// What the newest start says, by name.
    func setting(_ name: String) -> String? { starts.last?.values.first { $0.name == name }?.value }

    /// Each phase's seconds, in the order in which they were written first.
    var phases: [(name: String, seconds: Double)] {
        let prefix = "phase_seconds/"
        let names = Set(training.flatMap { $0.values.keys.filter { $0.hasPrefix(prefix) } })
        return names.map { (String($0.dropFirst(prefix.count)), total($0)) }.filter { $0.1 > 0 }
            .sorted { ($1.1, $0.0) < ($0.1, $1.0) }
    }
}

/// At most `count` points: means of neighbours, where there are more.
func thinned(_ points: [(x: Double, y: Double)], to count: Int) -> [(x: Double, y: Double)] {
    let finite = points.filter(\.y.isFinite)
    guard finite.count > count else { return finite }
    return (0..<count).map { i in
        let part = finite[i * finite.count / count..<(i + 1) * finite.count / count]
        return (part[part.endIndex - 1].x, part.reduce(0) { $0 + $1.y } / Double(part.count))
    }
}
