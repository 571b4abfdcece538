import Shared

/// What is different in two stores.
///
/// Samples belong together by their records' ids, or by file and line where there is none; of several with the same,
/// the first with the first.
struct StoreDifference {
    /// Two samples of the same record that differ.
    struct Change {
        var name: String
        var first: Int
        var second: Int
        /// The first token that differs, or of whose mask the two differ.
        var position: Int
        var isMask: Bool
    }

    private static let shown = 20

    private(set) var settings: [String]
    private(set) var changes: [Change] = []
    private(set) var onlyFirst: [String] = []
    private(set) var onlySecond: [String] = []
    private(set) var equal = 0

    init(_ first: SampleStore, _ second: SampleStore) throws {
        settings = first.manifest.changes(to: second.manifest)
        var others: [String: [Int]] = [:]
        for index in (0..<second.count).reversed() { others[try Self.name(second, index), default: []].append(index) }
        for index in 0..<first.count {
            try Interrupt.check()
            let name = try Self.name(first, index)
            guard let other = others[name]?.popLast() else {
                onlyFirst.append(name)
                continue
            }
            if let change = Self.change(try first.sample(at: index), try second.sample(at: other)) {
                changes.append(
                    Change(name: name, first: index, second: other, position: change.position, isMask: change.isMask))
            } else {
                equal += 1
            }
        }
        let rest = others.flatMap { name, indices in indices.map { (name: name, index: $0) } }
        onlySecond = rest.sorted { $0.index < $1.index }.map(\.name)
    }

    var isEmpty: Bool { settings.isEmpty && changes.isEmpty && onlyFirst.isEmpty && onlySecond.isEmpty }

    private static func name(_ store: SampleStore, _ index: Int) throws -> String {
        let source = try store.source(of: index)
        return source.id.isEmpty
            ? "file \(source.file), line \(source.line)" : String(decoding: source.id, as: UTF8.self)
    }

    private static func change(_ a: Sample, _ b: Sample) -> (position: Int, isMask: Bool)? {
        guard a != b else { return nil }
        for position in 0..<min(a.inputIDs.count, b.inputIDs.count) {
            if a.inputIDs[position] != b.inputIDs[position] { return (position, false) }
            if a.lossMask[position] != b.lossMask[position]
                || a.attended.contains(position) != b.attended.contains(position)
            {
                return (position, true)
            }
        }
        return (min(a.inputIDs.count, b.inputIDs.count), false)
    }

    var text: String {
        var lines = settings.map { "setting \($0)" }
        func list<T>(_ items: [T], _ line: (T) -> String) {
            lines += items.prefix(Self.shown).map { "  " + line($0) }
            if items.count > Self.shown { lines.append("  and \(items.count - Self.shown) more, which --json lists") }
        }
        lines.append("\(equal) samples are equal")
        lines.append("\(changes.count) samples differ")
        list(changes) {
            "\($0.name): samples \($0.first) and \($0.second), \($0.isMask ? "mask" : "tokens") from \($0.position) on"
        }
        lines.append("\(onlyFirst.count) samples are only in the first")
        list(onlyFirst) { $0 }
        lines.append("\(onlySecond.count) samples are only in the second")
        list(onlySecond) { $0 }
        return lines.joined(separator: "\n")
    }

    var json: JSONText {
        .object([
            ("settings", .array(settings.map(JSONText.string))), ("equal", .int(equal)),
            (
                "differ",
                .array(
                    changes.map { change in
                        .object([
                            ("name", .string(change.name)), ("first", .int(change.first)),
                            ("second", .int(change.second)), ("position", .int(change.position)),
                            ("mask", .bool(change.isMask)),
                        ])
                    })
            ), ("only_first", .array(onlyFirst.map(JSONText.string))),
            ("only_second", .array(onlySecond.map(JSONText.string))),
        ])
    }
}
