import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Brackets decide: whatever the separators, the indents, the nesting and the blocks, what was written is found.
struct RecordScannerTests {
    struct Record: Equatable {
        var text: String
        var offset: Int
        var line: Int
        /// Of its bytes, which may be no text.
        var count: Int
        var problem: RecordScanner.Problem?
        var isTooLarge = false
    }

    /// Scans a text given in blocks, as the reader does.
    static func scan(_ text: [UInt8], blockSize: Int, largest: Int = 1 << 20) -> [Record] {
        var scanner = RecordScanner(largestRecord: largest)
        var (pending, scanned, read): ([UInt8], Int, Int) = ([], 0, 0)
        var records: [Record] = []
        func add(_ found: RecordScanner.Found, _ bytes: UnsafeRawBufferPointer) {
            let text = found.isTooLarge ? "" : String(decoding: bytes[found.range], as: UTF8.self)
            records.append(
                Record(
                    text: text, offset: found.offset, line: found.line, count: found.range.count,
                    problem: found.problem,
                    isTooLarge: found.isTooLarge))
        }
        while true {
            let count = min(blockSize, text.count - read)
            pending += text[read..<read + count]
            read += count
            let isAtEnd = count < blockSize
            pending.withUnsafeBytes { bytes in
                while let found = scanner.next(in: .init(bytes: bytes, isAtEnd: isAtEnd), from: &scanned) {
                    add(found, bytes)
                }
                if isAtEnd, let missing = scanner.missing(at: bytes.count) { add(missing, bytes) }
            }
            if isAtEnd { return records }
            let keepFrom = scanner.pendingStart ?? scanned
            pending.withUnsafeBytes { scanner.take(keepFrom, of: $0) }
            pending.removeFirst(keepFrom)
            scanned -= keepFrom
        }
    }

    @Test func findsWhatWasWrittenHoweverItWasWritten() throws {
        try Fuzzing("record-scanner", iterations: 2000).run { generator in
            let written = WrittenValues(using: &generator)
            let text = Array(written.text.utf8)
            let blockSize = [1, 2, 3, 7, 20, 64, 1 << 16].randomElement(using: &generator) ?? 1
            let records = Self.scan(text, blockSize: blockSize)
            #expect(records.map(\.text) == written.values, "\(written.text)")
            for record in records {
                let range = record.offset..<record.offset + record.text.utf8.count
                #expect(record.problem == nil && text[range].elementsEqual(record.text.utf8))
                #expect(record.line == 1 + text[..<record.offset].count { $0 == 0x0A })
            }
        }
    }

    /// Objects in an element that begin as elements do, in one element only: OpenAI's parallel calls of tools.
    @Test(arguments: [nil, 0, 1, 4] as [Int?], [0, 3, 9])
    func isNotDeceivedByWhatAnElementHolds(indent: Int?, at: Int) {
        func record(_ i: Int, _ calls: String) -> String {
            #"{"id": "r\#(i)", "messages": [{"role": "assistant", "content": "x"\#(calls)}]}"#
        }
        let calls = #", "tool_calls": [{"id": "c1", "messages": []}, {"id": "c2"}]"#
        let lines = (0..<10).map { record($0, $0 == at ? calls : "") }
        let space = indent.map { "\n" + String(repeating: " ", count: $0) } ?? ""
        let written = lines.map { $0.replacing("{", with: "{\(space)").replacing(", {", with: ",\(space){") }
        let text = "[" + space + written.joined(separator: "," + space) + space + "]"
        for blockSize in [1, 50, 1 << 16] {
            #expect(Self.scan(Array(text.utf8), blockSize: blockSize).map(\.text) == written)
        }
    }

    static let broken = [
        // Quotation marks are missing, or one too many.
        #"{"id": "b, "conversations": []}"#, #"{"id": "b"#, #"{"id": "b\"}"#, #"{"id": "b"", "conversations": []}"#,
        #"{"id": "b", "conversations": [{"from": "x, "value": "y"}]}"#,
        #"{"id": "b, "conversations": [{"from": "x"}]}"#,
        // Brackets are missing, of the wrong kind, or one too many.
        #"{"id": "b", "conversations": [{"x": 1}"#, #"{"id": "b", "conversations": {]}"#, #"{"id": "b", "c": ["#, "{",
        #"{"id": "b", "conversations": []}}"#, #"{"id": "b", "conversations": [{"x": 1}, {"id": "c"}]"#,
        // Something else is missing, or all of it.
        #"{"id": "b" "x"}"#, #"{"id": "b","#, #"{"id":"#, "garbage", "\"text\"", "7 8",
    ]

    @Test(arguments: broken) func aBrokenRecordLosesOnlyItself(broken: String) {
        let lines = conversationLines(9)
        let forms = [
            ("", "\n", "\n"), ("", ",\n", ""), ("[\n  ", ",\n  ", "\n]"), ("[\n", ",\n", "\n]"), ("[", ", ", "]"),
        ]
        for (opening, separator, closing) in forms {
            for at in [0, 3, 9] {
                let text = opening + (lines[..<at] + [broken] + lines[at...]).joined(separator: separator) + closing
                let whole = Self.scan(Array(text.utf8), blockSize: 1 << 16)
                #expect(whole.filter { $0.problem == nil && lines.contains($0.text) }.map(\.text) == lines, "\(text)")
                // One that is cut off in two is two.
                #expect((10...12).contains(whole.count), "\(text)")
                for blockSize in [1, 7, 100] { #expect(Self.scan(Array(text.utf8), blockSize: blockSize) == whole) }
            }
        }
    }

    /// `cat a.json b.json`, and what else stands in one file.
    @Test(arguments: [
        "[A, B]\n[C]", "[A][B,C]", "[]\n[A,B,C]", "A B C", "ABC", "A,\nB,\nC,\n", "\u{1E}A\n\u{1E}B\n\u{1E}C\n",
        "A\n[B]\nC",
        #"{"version": "1", "data": [A, B, C]}"#, #"{"train": [A,B,C], "n": 3}"#,
        "{\n \"x\": {},\n \"rows\": [\nA,\nB,\nC\n]\n}\n",
        #"{"a": [A]}{"b": [B, C]}"#, "\u{FEFF}[A, B, C,]",
    ])
    func readsSeveralArraysObjectsAndEnvelopes(form: String) {
        let lines = Array(conversationLines(3))
        var text = ""
        for character in form {
            let i = ["A", "B", "C"].firstIndex(of: character)
            text += i.map { lines[$0] } ?? String(character)
        }
        for blockSize in [1, 30, 1 << 16] {
            #expect(Self.scan(Array(text.utf8), blockSize: blockSize).map(\.text) == lines, "\(form)")
        }
    }

    /// What a record has beside its messages or its question is no array of records, whatever stands in it.
    @Test(arguments: [
        #"{"messages": [], "ctxs": [{"title": "t", "text": "d"}]}"#,
        #"{"ctxs": [{"title": "t", "text": "d"}], "messages": []}"#,
        #"{"instruction": "a", "output": "b", "examples": [{"input": "2+2", "output": "4"}]}"#,
        #"{"examples": [{"question": "2+2", "answer": "4"}], "question": "a", "answer": "b"}"#,
        #"{"question": "a", "ctxs": [{"title": "t", "text": "d"}]}"#,
        #"{"documents": [{"text": "d"}], "query": "a", "answers": ["b"]}"#,
        #"{"input_ids": [1, 2], "parents": [{"input_ids": [1]}]}"#,
    ])
    func aRecordWithListsBesideIsOne(record: String) {
        for text in [record, record + "\n" + record, "[\(record), \(record)]"] {
            for blockSize in [1, 30, 1 << 16] {
                let found = Self.scan(Array(text.utf8), blockSize: blockSize)
                #expect(found.allSatisfy { $0.text == record }, "\(text)")
                #expect(found.count == (text == record ? 1 : 2))
            }
        }
    }

    @Test func aSecondArrayOfAnEnvelopeIsReported() {
        let lines = conversationLines(2)
        let text = #"{"train": [\#(lines[0])], "test": [\#(lines[1])]}"#
        let records = Self.scan(Array(text.utf8), blockSize: 10)
        #expect(records.map(\.text) == [lines[0], "[\(lines[1])]"])
        #expect(
            records.last?.problem
                == .broken("the file's object has a second array of records; only its first one is read"))
    }

    /// Scanning takes a bounded number of steps for each byte, whatever is broken.
    @Test(arguments: [
        "{\"a\":[\n", "{\"a\":[,", "{\"a\":[1},", "{\"a\":\"x},", "{\"a\":{", "{\"a\":[{\"messages\":1},", "\"", "\\\"",
        "[",
    ])
    func scansHostileTextsInLinearTime(piece: String) {
        let (bytes, largest) = (200_000, 5000)
        let text = Array(("[{\"messages\":[]}, " + String(repeating: piece, count: bytes / piece.utf8.count)).utf8)
        var scanner = RecordScanner(largestRecord: largest)
        var position = 0
        text.withUnsafeBytes { bytes in
            while scanner.next(in: .init(bytes: bytes, isAtEnd: true), from: &position) != nil {}
        }
        #expect(scanner.repeated < 4 * bytes + 10 * largest)
    }

    @Test(arguments: ["\n", ",\n", ", "], [1, 64, 1000, 1 << 16])
    func aTooLargeRecordHasItsTrueOffsetAndLine(separator: String, blockSize: Int) {
        let large = "{\"a\": [\n" + String(repeating: "\"yy\",\n", count: 2000) + "{\"id\": 1}]}"
        let records = [#"{"b": 1}"#, large, #"{"c": 1}"#, large, #"{"d": 1}"#]
        let isArray = separator != "\n"
        let text = (isArray ? "[" : "") + records.joined(separator: separator) + (isArray ? "]" : "")
        let found = Self.scan(Array(text.utf8), blockSize: blockSize, largest: 1000)
        #expect(found.map(\.text) == [records[0], "", records[2], "", records[4]])
        #expect(found.map(\.isTooLarge) == [false, true, false, true, false])
        let bytes = Array(text.utf8)
        for (record, written) in zip(found, records) {
            #expect(bytes[record.offset...].starts(with: written.utf8))
            #expect(record.line == 1 + bytes[..<record.offset].count { $0 == 0x0A })
        }
    }

    /// Whatever its break is, and wherever blocks end: the records beside it are found, and it is noted where it begins.
    @Test(
        arguments: [
            #"{"a": [LARGE{"id": 1}"#, #"{"a": [LARGE{"id": 1}]"#, #"{"a": [LARGE{"id": [1}]}"#, #"{"a": [LARGE"x}"#,
            #"{"a": [LARGE{"id": "x}]}"#, #"{"a": {LARGE"id": {"b": 1}"#,
        ], ["", "\n", ",\n", " "])
    func aTooLargeBrokenRecordLosesOnlyItself(form: String, separator: String) {
        let lines = conversationLines(4)
        for line in ["\"yy\",\n", "\"yy\": 1, ", "\"yy\", "] {
            let broken = form.replacing("LARGE", with: String(repeating: line, count: 300))
            for at in [0, 2] {
                let before = lines[..<at].map { $0 + "\n" }.joined()
                let text = Array((before + broken + separator + lines[at...].joined(separator: "\n") + "\n").utf8)
                // Of what is too large, only where it begins counts.
                func scan(_ blockSize: Int) -> [Record] {
                    Self.scan(text, blockSize: blockSize, largest: 1000).map { record in
                        var record = record
                        if record.isTooLarge { record.count = 0 }
                        return record
                    }
                }
                let whole = scan(1 << 16)
                #expect(whole.filter { lines.contains($0.text) }.map(\.text) == lines, "\(form)\(separator)\(line)")
                #expect(whole.count <= lines.count + 2)
                let noted = whole.filter { $0.problem != nil || $0.isTooLarge }
                #expect(noted.first?.offset == before.utf8.count && noted.first?.line == at + 1)
                for record in whole {
                    #expect(record.line == 1 + text[..<record.offset].count { $0 == 0x0A })
                }
                for blockSize in [1, 100, 1000] { #expect(scan(blockSize) == whole, "\(form)\(separator)\(line)") }
            }
        }
    }
}

/// Random JSON values, written with random spaces: at the top, or in arrays, of which there may be several.
struct WrittenValues {
    private(set) var text = ""
    private(set) var values: [String] = []
    private let space: String
    private let isDeep: Bool

    init(using generator: inout SplitMix64) {
        space = ["", " ", "\n", "\n  ", "\t", "\r\n"].randomElement(using: &generator) ?? ""
        isDeep = Bool.random(using: &generator)
        if Int.random(in: 0..<5, using: &generator) == 0 { text += "\u{FEFF}" }
        for _ in 0..<Int.random(in: 0...4, using: &generator) {
            let isArray = Bool.random(using: &generator)
            let separators = isArray ? [",", ", ", ",\n", " ,\n  ", "\n,"] : ["", "\n", "\r\n", " ", ",\n", "\n\n  "]
            let separator = separators.randomElement(using: &generator) ?? ","
            let written = (0..<Int.random(in: 0...5, using: &generator)).map { _ in
                isArray ? value(3, &generator) : object(3, &generator)
            }
            values += written
            let list = written.joined(separator: separator)
            text += isArray ? "[\(space)\(list)\(space)]" : list
            text += ["", "\n", " "].randomElement(using: &generator) ?? ""
        }
    }

    private func gap(_ depth: Int) -> String {
        space.isEmpty || !isDeep ? space : space + String(repeating: " ", count: 4 - max(0, depth))
    }

    private func value(_ depth: Int, _ generator: inout SplitMix64) -> String {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 5), using: &generator) {
        case 0: return ["true", "false", "null"].randomElement(using: &generator) ?? ""
        case 1: return ["0", "-12.5", "1e30", "7"].randomElement(using: &generator) ?? ""
        case 2, 3, 4: return string(&generator)
        case 5, 6:
            let elements = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
                gap(depth) + value(depth - 1, &generator)
            }
            return "[" + elements.joined(separator: ",") + gap(depth) + "]"
        default: return object(depth, &generator)
        }
    }

    private func object(_ depth: Int, _ generator: inout SplitMix64) -> String {
        let members = (0..<Int.random(in: 0...3, using: &generator)).map { i in
            gap(depth) + (i == 0 ? "\"id\"" : string(&generator))
                + ([":", ": ", " : "].randomElement(using: &generator) ?? ":") + value(depth - 1, &generator)
        }
        return "{" + members.joined(separator: ",") + gap(depth) + "}"
    }

    private func string(_ generator: inout SplitMix64) -> String {
        let pieces = [
            "a", "é", "\\\"", "\\\\", "\\n", "{", "}", "[", "]", ",", ":", " ", "{\\\"id\\\":", "\\u00e9", "👍", ", {",
            "}, {",
        ]
        let text = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
            pieces.randomElement(using: &generator) ?? ""
        }
        return "\"" + text.joined() + "\""
    }
}
