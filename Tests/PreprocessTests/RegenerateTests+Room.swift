import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Files that have no room for more answers.
extension RegenerateTests {
    /// A write that fails ends the run with what has no room; the files have whole lines, and a later run continues: for
    /// answers and for failures alike.
    @Test(arguments: [false, true]) func aFullDiskEndsTheRunAndItContinues(mostFail: Bool) throws {
        let server = try Self.server { question in
            mostFail && !question.hasSuffix("0") ? .json("{}", status: 400) : Self.reply("re: \(question)")
        }
        defer { server.close() }
        let words = ["regenerate"] + words([server], try questions(400), ["--served-model-name", "tiny"])
        let full = mostFail ? "out.jsonl.failures.jsonl" : "out.jsonl"
        var last = 0
        // The file of the forty answers of the second case has room in any of them.
        for limit in [16, 32, 48] {
            let run = try ProgramRun("Preprocess", words, largestFile: limit).finish()
            #expect(run.code == 1 && run.errors.contains("\(full): can't write it: File too large"), "\(run.errors)")
            #expect(run.errors.contains("make room, and run the same command again"))
            let text = try readFile(scratch.file(full))
            #expect(text.last == UInt8(ascii: "\n") && text.count > last && text.count <= limit << 10)
            last = text.count
        }
        let run = try ProgramRun("Preprocess", words).finish()
        #expect(run.code == 0, "\(run.errors)")
        let answered = (0..<400).filter { !mostFail || $0.isMultiple(of: 10) }
        #expect(try lines().map { try root($0).string("id") } == answered.map { "r\($0)" })
        let failed = try lines("out.jsonl.failures.jsonl").map { try root($0).int("line") - 1 }
        #expect(failed == (0..<400).filter { mostFail && !$0.isMultiple(of: 10) })
    }
}
