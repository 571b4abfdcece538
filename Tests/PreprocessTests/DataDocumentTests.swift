import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Documentation/Data.md names what the sources' tables have.
struct DataDocumentTests {
    private func document() throws -> String {
        String(decoding: try readFile("Documentation/Data.md"), as: UTF8.self)
    }

    @Test func everyKeyAndRoleIsDocumented() throws {
        let text = try document()
        let keys =
            RecordForms.messageLists + [RecordForms.dialogue] + RecordForms.questions + RecordForms.answers
            + RecordForms.contexts + RecordForms.systems + RecordForms.ids + RecordForms.roleKeys
            + RecordForms.contentKeys
            + ToolForms.keys + Supervision.messageKeys + [Supervision.rowKey] + Reasoning.keys
        for key in keys { #expect(text.contains("`\(key)`"), "\(key)") }
        for (meaning, names) in RoleNames.known {
            let row = "| `\(meaning.name)` | \(names.map { "`\($0)`" }.joined(separator: ", "))"
            #expect(text.contains(row), "\(row)")
        }
    }

    @Test func everyKindOfFileIsDocumented() throws {
        let text = try document()
        for (name, _) in FileKindTests.others where !["program"].contains(name) {
            let word = name.split(separator: " ")[0]
            #expect(text.lowercased().contains(word.lowercased().prefix(6)), "\(name)")
        }
        for suffix in ["*.jsonl", "*.json", "*.ndjson", ".gz", ".zst"] { #expect(text.contains("`\(suffix)`")) }
        #expect(text.contains("\(Rejection.longestDetail)"))
    }
}
