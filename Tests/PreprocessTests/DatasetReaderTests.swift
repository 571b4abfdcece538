import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

struct DatasetReaderTests {
    private struct Read: Equatable, CustomStringConvertible {
        var text: String
        var line: Int
        var offset: Int
        var problem: Rejection.Reason?
        var isUnfinished: Bool
        var description: String { "\(line)@\(offset) \(problem.map(\.rawValue) ?? "") \(text)" }
    }

    private func read(_ paths: [String], skip: Int = 0, blockSize: Int, largest: Int = 1 << 20) throws -> [Read] {
        var reader = DatasetReader(paths, skip: skip, blockSize: blockSize, largestRecord: largest)
        var all: [Read] = []
        while let batch = try reader.next() {
            all += batch.records.map {
                Read(
                    text: String(decoding: batch.bytes[$0.range], as: UTF8.self), line: $0.line, offset: $0.offset,
                    problem: $0.problem?.reason, isUnfinished: $0.isUnfinished)
            }
        }
        return all
    }

    private func read(_ text: String, blockSize: Int = 7, largest: Int = 1 << 20) throws -> [Read] {
        let scratch = try ScratchDirectory()
        return try read([scratch.write("data", text)], blockSize: blockSize, largest: largest)
    }

    @Test(arguments: [1, 2, 3, 7, 64, 4096])
    func findsLinesWhateverTheBlocks(blockSize: Int) throws {
        let records = try read("\n  {\"a\":1}\r\n\n{\"b\":\n{\"c\":3}", blockSize: blockSize)
        #expect(records.map(\.text) == ["{\"a\":1}", "{\"b\":", "{\"c\":3}"])
        #expect(records.map(\.line) == [2, 4, 5])
        #expect(records.map(\.offset) == [3, 13, 19])
        #expect(records.map(\.problem) == [nil, .malformed, nil] && records.allSatisfy { !$0.isUnfinished })
    }

    @Test(arguments: [1, 5, 64, 100_000])
    func findsTheElementsOfAnArray(blockSize: Int) throws {
        let lines = conversationLines(40)
        let compact = "[" + lines.joined(separator: ",") + "]"
        let pretty = "\u{FEFF} [\n  " + lines.joined(separator: ",\n  ") + "\n]\n"
        #expect(try read(compact, blockSize: blockSize).map(\.text) == lines)
        let records = try read(pretty, blockSize: blockSize)
        #expect(records.map(\.text) == lines && records.map(\.line) == Array(2...41))
        #expect(records.allSatisfy { $0.problem == nil && !$0.isUnfinished })
    }

    @Test(arguments: [JSONSerialization.WritingOptions.prettyPrinted, []])
    func readsWhatAnotherProgramWrote(options: JSONSerialization.WritingOptions) throws {
        let lines = conversationLines(30)
        let objects = try lines.map { try JSONSerialization.jsonObject(with: Data($0.utf8)) }
        let text = String(
            decoding: try JSONSerialization.data(withJSONObject: objects, options: options), as: UTF8.self)
        let records = try read(text, blockSize: 100)
        #expect(records.count == 30)
        for (record, object) in zip(records, objects) {
            let read = try JSONSerialization.jsonObject(with: Data(record.text.utf8)) as? NSDictionary
            #expect(read == object as? NSDictionary)
        }
    }

    @Test(arguments: [
        // A quotation mark is missing, a bracket is missing, a bracket is of the wrong kind.
        #"{"id": "b, "conversations": []}"#, #"{"id": "b", "conversations": [{"x": 1}"#,
        #"{"id": "b", "conversations": {]}"#, #"{"id": "b"#, #"{"id": "b\"}"#,
    ])
    func losesOnlyTheBrokenElement(broken: String) throws {
        let lines = conversationLines(6)
        let array = "[\n" + (lines[..<3] + [broken] + lines[3...]).joined(separator: ",\n") + "\n]"
        let records = try read(array)
        #expect(records.filter { $0.problem == nil && lines.contains($0.text) }.map(\.text) == lines)
        #expect(records.count == 7 && records[3].line == 5)
    }

    /// All on one line: what a program writes that wasn't told to indent.
    @Test(
        arguments: [
            // A bracket is missing, is one too many, is of the wrong kind; a quotation mark is missing or one too many.
            #"{"id": "b", "conversations": [{"x": 1}"#, #"{"id": "b", "conversations": []}}"#,
            #"{"id": "b", "conversations": {]}"#, #"{"id": "b, "conversations": [{"from": "x"}]}"#,
            #"{"id": "b"", "conversations": []}"#, #"{"id": "b", "conversations": [{"from": "x, "value": "y"}]}"#,
        ], [1, 7, 100, 1 << 16])
    func losesOnlyTheBrokenElementOfALine(broken: String, blockSize: Int) throws {
        let lines = conversationLines(9)
        let array = "[" + (lines[..<3] + [broken] + lines[3..<6] + [broken] + lines[6...]).joined(separator: ", ") + "]"
        let records = try read(array, blockSize: blockSize)
        #expect(records.filter { $0.problem == nil && lines.contains($0.text) }.map(\.text) == lines)
        #expect(records.filter { $0.problem == .malformed }.count >= 2 && records.count <= 13)
        #expect(records.allSatisfy { $0.line == 1 })
    }

    /// Objects within elements that begin as elements do are no elements.
    @Test func isNotDeceivedByWhatElementsHold() throws {
        let element = #"{"id": 1, "parts": [{"id": 2}, {"id": 3}]}"#
        let array = "[" + Array(repeating: element, count: 4).joined(separator: ", ") + "]"
        #expect(try read(array).map(\.text) == Array(repeating: element, count: 4))
    }

    @Test(arguments: [1, 1000, 1 << 20])
    func unpacksGzipAndZstandard(blockSize: Int) throws {
        let scratch = try ScratchDirectory()
        let lines = conversationLines(300)
        let halves = [lines[..<150], lines[150...]].map { Array(($0.joined(separator: "\n") + "\n").utf8) }
        for (name, pack) in [("gz", Packed.gzip as ([UInt8]) -> [UInt8]), ("zst", Packed.zstd)] {
            // Consecutive packed streams are one.
            let packed = pack(halves[0]) + pack(halves[1])
            let path = scratch.file("data.\(name)")
            try Data(packed).write(to: URL(filePath: path))
            #expect(try read([path], blockSize: blockSize).map(\.text) == lines)
            var reader = DatasetReader([path], blockSize: blockSize)
            while try reader.next() != nil {}
            #expect(reader.ends == [.init(digest: Digest(of: packed), isAppendable: true)])

            // What breaks off costs what is missing, and says so.
            try Data(packed.dropLast(packed.count / 3)).write(to: URL(filePath: path))
            let records = try read([path], blockSize: blockSize)
            #expect(records.count > 100 && records.last?.problem == .cutOff)
            #expect(Array(records.map(\.text).dropLast(2)) == Array(lines[..<(records.count - 2)]))

            var damaged = packed
            for i in 20..<40 { damaged[i] ^= 0x55 }
            try Data(damaged).write(to: URL(filePath: path))
            #expect { try read([path], blockSize: blockSize) } throws: { "\($0)".contains("data.\(name): packed data") }
        }
    }

    @Test func takesScalarsForElements() throws {
        #expect(try read("[1, {\"a\": [2]} ,null]").map(\.text) == ["1", "{\"a\": [2]}", "null"])
    }

    @Test func saysThatAFileEndsWithinARecord() throws {
        let records = try read("[\n{\"a\": 1},\n{\"b\": \"cut o")
        #expect(records.map(\.text) == ["{\"a\": 1}", "{\"b\": \"cut o"])
        #expect(records.map(\.isUnfinished) == [false, true])
        #expect(try read("[{\"a\": 1}] x {").map(\.text) == ["{\"a\": 1}", "x {"])
        // Between two records, too, what is missing is reported.
        #expect(try read("[\n{\"a\": 1},\n").map(\.problem) == [nil, .cutOff])
    }

    @Test(arguments: ["", "\n \n", "[]", " [ ] \n"])
    func findsNothingInNothing(text: String) throws { #expect(try read(text).isEmpty) }

    @Test(arguments: [false, true])
    func leavesOutARecordThatIsTooLarge(isArray: Bool) throws {
        let large = "{\"a\": \"" + String(repeating: "y", count: 5000) + "\"}"
        let lines = ["{\"b\": 1}", large, "{\"c\": 1}"]
        let text = isArray ? "[" + lines.joined(separator: ",\n") + "]" : lines.joined(separator: "\n")
        let records = try read(text, blockSize: 64, largest: 1000)
        #expect(records.map(\.text) == [lines[0], "", lines[2]])
        #expect(records.map(\.problem) == [nil, .tooLarge, nil])
        #expect(records.map(\.line) == [1, 2, 3])
    }

    /// Whether a record is too large doesn't hang on where in a block it ends.
    @Test(arguments: [1, 7, 64, 1000, 4096])
    func takesRecordsUpToTheLimit(blockSize: Int) throws {
        func record(_ size: Int) -> String { "{\"a\": \"" + String(repeating: "y", count: size - 9) + "\"}" }
        let lines = [1000, 1001, 12, 2500, 1000, 999, 1002].map(record)
        let records = try read(lines.joined(separator: "\n"), blockSize: blockSize, largest: 1000)
        #expect(records.map(\.problem) == [nil, .tooLarge, nil, .tooLarge, nil, nil, .tooLarge])
    }

    @Test func readsFilesOneAfterAnotherAndSkips() throws {
        let scratch = try ScratchDirectory()
        let lines = conversationLines(9)
        let paths = [
            try scratch.write("a.jsonl", lines[..<4].joined(separator: "\n")),
            try scratch.write("b.json", "[" + lines[4...].joined(separator: ",") + "]"),
        ]
        for skip in 0...9 {
            let records = try read(paths, skip: skip, blockSize: 50)
            #expect(records.map(\.text) == Array(lines[skip...]))
        }
        var reader = DatasetReader(paths, blockSize: 50)
        while try reader.next() != nil {}
        #expect(try reader.ends.map(\.digest) == paths.map { try Digest(ofFile: $0) })
        #expect(reader.ends.map(\.isAppendable) == [false, false])
    }
}
