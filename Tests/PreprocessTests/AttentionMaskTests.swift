import Foundation
import TestSupport
import Testing

@testable import Preprocess
@testable import Shared

/// Rows of tokens that bring an attention mask.
struct AttentionMaskTests {
    private func row(_ record: String) throws(Rejection) -> Sample {
        let parser = ConversationParser(isPreformatted: false)
        let padded = Array(record.utf8) + [UInt8](repeating: 0x20, count: JSONParser.padding)
        let result = padded.withUnsafeBytes { bytes in
            Result { () throws(Rejection) in
                try parser.parse(padded: UnsafeRawBufferPointer(rebasing: bytes.prefix(record.utf8.count)))
            }
        }
        guard case .tokens(let sample) = try result.get().content else { throw Rejection(.badTokens, "no tokens") }
        return sample
    }

    private static func record(_ attention: String) -> String {
        #"{"input_ids": [5, 6, 7, 8], "loss_mask": [1, 1, 0, 1], "attention_mask": \#(attention)}"#
    }

    @Test(arguments: [
        ("[1, 1, 1, 1]", 0, 0), ("null", 0, 0), ("[true, true, true, true]", 0, 0), ("[1, 1, 1, 0]", 0, 1),
        ("[0, 1, 1, 1]", 1, 0), ("[0, 1, 0, 0]", 1, 2), ("[false, false, 1, 1]", 2, 0),
    ]) func zerosAtTheEndsArePadding(mask: String, leading: Int, trailing: Int) throws {
        let sample = try row(Self.record(mask))
        #expect(sample.inputIDs == [5, 6, 7, 8])
        #expect(sample.leadingPadding == leading && sample.trailingPadding == trailing)
        let supervised = [true, true, false, true].enumerated().map { $1 && sample.attended.contains($0) }
        #expect(sample.lossMask == supervised)
        #expect(sample.withoutPadding.inputIDs == Array([5, 6, 7, 8][sample.attended]))
    }

    @Test(arguments: [
        ("[1, 0, 1, 1]", "element 1 of 'attention_mask' is 0 between ones; only padding at the ends can be"),
        ("[0, 0, 0, 0]", "'attention_mask' is 0 everywhere"),
        ("[1, 1, 2, 2]", "element 2 of 'attention_mask' is neither 0 nor 1"),
        ("[1, 1, 1]", "has 4 'input_ids' and 3 of 'attention_mask'"),
        ("[[1, 1, 1, 1]]", "element 0 of 'attention_mask' is neither 0 nor 1"),
        ("1", "'attention_mask' is an integer, should be an array"),
    ]) func otherMasksAreRefusedByName(mask: String, detail: String) {
        #expect(throws: Rejection(.badTokens, detail)) { try row(Self.record(mask)) }
    }

    /// The mask goes into the store and out of it again as it came, and costs next to nothing where it is all ones.
    @Test func isWhatDumpWrites() throws {
        let scratch = try ScratchDirectory()
        let model = Fixtures.folder.appending(path: "tokenizers/smollm2").path(percentEncoded: false)
        let ids = "[" + (0..<40).map { "\($0 * 7 + 3)" }.joined(separator: ", ") + "]"
        let ones = "[" + (0..<40).map { _ in "1" }.joined(separator: ", ") + "]"
        let masks = [(0, 0), (0, 9), (5, 0), (3, 30)].map { before, after in
            (0..<40).map { $0 < before || $0 >= 40 - after ? 0 : 1 }
        }
        let lines = masks.map { #"{"input_ids": \#(ids), "loss_mask": \#(ones), "attention_mask": \#($0)}"# }
        let data = try scratch.write("rows.jsonl", lines.joined(separator: "\n") + "\n")
        let cache = scratch.file("cache")
        let build = ["build", "--train-data-path", data, "--target-model-path", model, "--cache-dir", cache]
        let more = ["--chat-template", "qwen", "--any-supervised-share"]
        let end = try ProgramRun("Preprocess", build + more).finish()
        try #require(end.code == 0, "\(end.errors)")
        let dump = try ProgramRun("Preprocess", ["dump", "--cache-dir", cache]).finish()
        let rows = try dump.output.split(separator: "\n").map {
            try JSONFile(contents: Array($0.utf8), path: "row").root
        }
        try #require(rows.count == masks.count)
        for (row, mask) in zip(rows, masks) {
            func array(_ key: String) throws -> [Int] { try row.required(key).elements.map { try $0.asInt() } }
            #expect(try array("attention_mask") == mask && array("loss_mask") == mask && array("input_ids").count == 40)
        }
        // Padding of a row that is too long is what is left out first.
        #expect(try ProgramRun("Preprocess", build + more + ["--max-length", "36"]).finish().code == 0)
        let store = try SampleStore(reading: StoreLocation.path(cacheDir: cache, dataPaths: [data]))
        #expect((0..<4).map(store.length) == [36, 31, 35, 7] && store.manifest.counts.truncated == 1)
        #expect(try (0..<4).allSatisfy { try !store.sample(at: $0).hasPadding })
    }

    @Test func differencesOfMasksAreFound() throws {
        let scratch = try ScratchDirectory()
        let paths = [scratch.file("a.mdb"), scratch.file("b.mdb")]
        for (path, padding) in zip(paths, [0, 1]) {
            let sample = Sample(inputIDs: [1, 2, 3], lossMask: [false, true, false], trailingPadding: padding)
            let source = SampleSource(file: 0, line: 1, id: [])
            try buildStore(path, [SourceRecord(source: source, offset: 0, outcome: .kept([sample]))])
        }
        let difference = try StoreDifference(SampleStore(reading: paths[0]), SampleStore(reading: paths[1]))
        #expect(difference.changes.map(\.position) == [2] && difference.changes.map(\.isMask) == [true])
    }
}
