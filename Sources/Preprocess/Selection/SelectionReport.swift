import Shared

/// How many records became what.
struct SelectionReport {
    private let counts: [RecordSelection.Fate: Int]
    private let byFile: [(path: String, counts: [RecordSelection.Fate: Int])]

    /// The source by weight that had too few records for more of all.
    private let scarceSource: String?
    private let others: OtherQuestions?

    init(_ selection: RecordSelection, _ paths: [String]) {
        (scarceSource, others) = (selection.scarceSource, selection.others)
        byFile = zip(paths, selection.counts).map { ($0, $1) }
        counts = selection.counts.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
    }

    private static func read(_ counts: [RecordSelection.Fate: Int]) -> Int { counts.values.reduce(0, +) }

    var text: String {
        func line(_ counts: [RecordSelection.Fate: Int]) -> String {
            let parts = RecordSelection.Fate.allCases.compactMap { fate in
                counts[fate].map { "\($0) \(fate == .train ? "selected" : fate.rawValue)" }
            }
            return "\(Self.read(counts)) read: \(parts.joined(separator: ", "))"
        }
        let files = byFile.count > 1 ? byFile.map { "  \($0.path): \(line($0.counts))" } : []
        let scarce = scarceSource.map { ["proportions   \($0) has too few records for more of the others"] } ?? []
        let other = others.map {
            ["other data    \($0.read) read, \($0.unreadable) unreadable: \($0.digests.count) different questions"]
        }
        return (["records       \(line(counts))"] + files + (other ?? []) + scarce).joined(separator: "\n")
    }

    var json: JSONText {
        func members(_ counts: [RecordSelection.Fate: Int]) -> [(String, JSONText)] {
            [("read", .int(Self.read(counts)))]
                + RecordSelection.Fate.allCases.map { ($0 == .train ? "selected" : $0.rawValue, .int(counts[$0] ?? 0)) }
        }
        let files = byFile.map { JSONText.object([("file", .string($0.path))] + members($0.counts)) }
        let other = others.map {
            JSONText.object([
                ("read", .int($0.read)), ("unreadable", .int($0.unreadable)), ("questions", .int($0.digests.count)),
            ])
        }
        return .object(
            members(counts) + [
                ("files", .array(files)), ("other_data", other ?? .null),
                ("scarce_source", scarceSource.map(JSONText.string) ?? .null),
            ])
    }
}
