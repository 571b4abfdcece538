import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

struct PipelineTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    @Test func gettingEveryLineOrSayingWhyNot() throws {
        var lines = conversationLines(200)
        lines[20] = "{\"id\": \"broken\", \"conversations\": ["
        lines[199] = String(lines[199].dropLast(9))
        let data = try scratch.write("data.jsonl", lines.joined(separator: "\n"))
        let manifest = try buildByteStore(scratch.file("a.mdb"), [data])
        let counts = manifest.counts
        #expect(counts.read == 200 && counts.isReconciled)
        #expect(
            counts.rejected == ["malformed JSON": 1, "cut off": 1, "no assistant message": 20, "no user message": 20])
        #expect(counts.repaired == ["leading messages left out": 20, "cut at wrong role order": 20])
        #expect(counts.droppedMessages == 40)
        let store = try SampleStore(reading: scratch.file("a.mdb"))
        let rejected = try store.notes().filter { $0.kind == .rejected }
        #expect(rejected.count == counts.rejectedTotal)
        #expect(rejected.first { $0.reason == "malformed JSON" }?.line == 21)
        #expect(rejected.last?.reason == "cut off" && rejected.last?.line == 200)
        for note in rejected {
            let line = Array(lines.joined(separator: "\n").utf8)[note.offset...].prefix { $0 != 0x0A }
            #expect(String(decoding: line, as: UTF8.self) == lines[note.line - 1])
        }
        #expect(try manifest.files[0].digest == Digest(ofFile: data).hex)
    }

    @Test func doesNotDependOnTheNumberOfWorkersOrBlocks() throws {
        let data = try scratch.write("data.jsonl", conversationLines(400).joined(separator: "\n"))
        try buildByteStore(scratch.file("1.mdb"), [data], threads: 1)
        let expected = try readFile(scratch.file("1.mdb"))
        for (threads, blockSize) in [(2, 1000), (3, 4096), (5, 1 << 20)] {
            try buildByteStore(scratch.file("n.mdb"), [data], threads: threads, blockSize: blockSize)
            #expect(try readFile(scratch.file("n.mdb")) == expected)
        }
    }

    @Test func readsAnArrayAsItReadsLines() throws {
        let lines = conversationLines(150)
        let jsonl = try scratch.write("data.jsonl", lines.joined(separator: "\n"))
        let array = try scratch.write("data.json", "[\n" + lines.joined(separator: ",\n") + "\n]\n")
        let first = try buildByteStore(scratch.file("a.mdb"), [jsonl])
        let second = try buildByteStore(scratch.file("b.mdb"), [array])
        #expect(first.counts == second.counts && first.counts.read == 150)
        let (a, b) = (try SampleStore(reading: scratch.file("a.mdb")), try SampleStore(reading: scratch.file("b.mdb")))
        for index in 0..<a.count {
            #expect(try a.sample(at: index) == b.sample(at: index))
            #expect(try a.source(of: index).id == b.source(of: index).id)
        }
    }

    @Test func endsWithTheErrorOfWhatCannotBeRead() throws {
        #expect(throws: FileError.self) { try buildByteStore(scratch.file("a.mdb"), [scratch.file("none")]) }
    }
}
