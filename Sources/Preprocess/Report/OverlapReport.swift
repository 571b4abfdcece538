import Shared

/// Records of a dataset that are in it twice, or whose question is one of other data's.
///
/// Questions are compared by their words: without case, and with one space for all that is between words. Of a record
/// that is text or tokens, all of it is its question.
struct OverlapReport {
    /// A record, and the one that it is like.
    struct Match: Equatable {
        var record: String
        var other: String
    }

    private static let shown = 20

    private(set) var records = 0
    /// Records of both that can't be read, and so aren't compared.
    private(set) var unreadable = 0
    private(set) var duplicates: [Match] = []
    private(set) var overlaps: [Match] = []
    /// Different questions of the other data.
    let questions: Int

    /// Reads both datasets.
    init(_ manifest: StoreManifest, _ otherPaths: [String]) throws {
        let settings = manifest.settings.known
        var asked: [Digest: String] = [:]
        unreadable += try Self.forEachRow(otherPaths, settings) { row, position in
            if asked[row.questionDigest] == nil { asked[row.questionDigest] = position }
        }
        questions = asked.count
        var seen: [Digest: String] = [:]
        unreadable += try Self.forEachRow(manifest.files.map(\.path), settings) { row, position in
            records += 1
            if let first = seen.updateValue(seen[row.contentDigest] ?? position, forKey: row.contentDigest) {
                duplicates.append(Match(record: position, other: first))
            }
            if let other = asked[row.questionDigest] { overlaps.append(Match(record: position, other: other)) }
        }
    }

    /// Every record that can be read, with its file and line.
    ///
    /// - Returns: How many can't.
    private static func forEachRow(
        _ paths: [String], _ settings: BuildSettings, _ body: (SourceRow, String) -> Void
    ) throws -> Int {
        var unreadable = 0
        var reader = DatasetReader(paths, largestRecord: settings.maxRecordSize << 20)
        let parser = ConversationParser(
            isPreformatted: settings.isPreformatted, needsAnswer: false, roles: try RoleNames(settings.roleMap))
        while let batch = try reader.next() {
            try Interrupt.check()
            batch.bytes.withUnsafeBytes { bytes in
                for record in batch.records {
                    let text = UnsafeRawBufferPointer(rebasing: bytes[record.range])
                    guard record.problem == nil, let row = try? parser.parse(padded: text) else {
                        unreadable += 1
                        continue
                    }
                    body(row, "\(paths[batch.file]):\(record.line)")
                }
            }
        }
        return unreadable
    }

    var text: String {
        func list(_ matches: [Match], _ relation: String) -> [String] {
            let lines = matches.prefix(Self.shown).map { "  \($0.record) \(relation) \($0.other)" }
            let more = matches.count - lines.count
            return more > 0 ? lines + ["  and \(more) more, which --json lists"] : lines
        }
        let lines =
            ["\(duplicates.count) of \(records) records are copies of earlier ones"] + list(duplicates, "is")
            + ["\(overlaps.count) of \(records) records ask one of the \(questions) other questions"]
            + list(overlaps, "asks")
            + (unreadable > 0 ? ["\(unreadable) records can't be read and aren't compared"] : [])
        return lines.joined(separator: "\n")
    }

    var json: JSONText {
        func list(_ matches: [Match]) -> JSONText {
            .array(matches.map { .object([("record", .string($0.record)), ("other", .string($0.other))]) })
        }
        return .object([
            ("records", .int(records)), ("questions", .int(questions)), ("duplicates", list(duplicates)),
            ("overlaps", list(overlaps)), ("unreadable", .int(unreadable)),
        ])
    }
}
