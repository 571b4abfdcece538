import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// Several sources: in which proportions they are drawn, and where each record comes from.
extension SelectTests {
    /// For any weights, caps and numbers: each source has its share to within a record, the scarcest one is used up, and
    /// counts add up for each.
    @Test func drawsSourcesInProportion() throws {
        var generator = SplitMix64(seed: 11)
        for round in 0..<6 {
            let sizes = (0..<3).map { _ in Int.random(in: 5...90, using: &generator) }
            let weights = (0..<3).map { _ in ([0.5, 1, 2, 3, 7.25] as [Double]).randomElement(using: &generator) ?? 1 }
            let files = try sizes.enumerated().map { source, size in
                try write("\(source).jsonl", (0..<size).map { Self.record("\(source) asks \($0)") } + ["{}"])
            }
            let most = round.isMultiple(of: 2) ? [] : ["--max-samples", "30"]
            let given = weights.enumerated().map { "\($0).jsonl=\($1)" }
            let drawn = try select(files, ["--weight"] + given + most)
            let counts = (0..<3).map { source in drawn.train.count { $0.contains("\(source) asks") } }
            let total = counts.reduce(0, +)
            for source in 0..<3 {
                let share = Double(total) * weights[source] / weights.reduce(0, +)
                #expect(abs(Double(counts[source]) - share) <= 1, "\(sizes) \(weights): \(counts)")
                let report = try drawn.report.required("files").elements[source]
                let parts = try ["selected", "over its share", "not drawn", "unreadable"].map { try report.int($0) }
                #expect(try report.int("read") == sizes[source] + 1 && parts.reduce(0, +) == sizes[source] + 1)
                #expect(parts[0] == counts[source] && parts[3] == 1)
            }
            let scarce = drawn.report["scarce_source"]?.value.string
            if let scarce, let source = Int(scarce.prefix(1)) {
                #expect(counts[source] == sizes[source], "the scarcest is used up")
            } else {
                #expect(total == 30)
            }
        }
    }

    /// A record that was drawn only makes way for one that is new in its source, and none does where another source grows.
    @Test func drawnRecordsStayWhenSourcesGrow() throws {
        func drawn(_ first: Int, _ second: Int) throws -> Set<String> {
            let files = [
                try write("a.jsonl", (0..<first).map { Self.record("a \($0)") }),
                try write("b.jsonl", (0..<second).map { Self.record("b \($0)") }),
            ]
            return Set(try select(files, "--weight", "a.jsonl=3", "b.jsonl=1").train)
        }
        let before = try drawn(300, 40)
        #expect(before.count == 160)
        let scarceGrew = try drawn(300, 60)
        #expect(before.isSubset(of: scarceGrew) && scarceGrew.count == 240)
        let otherGrew = try drawn(400, 40)
        let lost = before.subtracting(otherGrew)
        #expect(lost.count == otherGrew.subtracting(before).count && lost.count < 60)
        #expect(lost.allSatisfy { $0.contains("\"a ") })
        #expect(
            otherGrew.subtracting(before).allSatisfy { record in
                (300..<400).contains { record.contains("\"a \($0)\"") }
            })
    }

    @Test func aDirectoryIsOneSource() throws {
        try FileManager.default.createDirectory(atPath: scratch.file("many"), withIntermediateDirectories: true)
        for name in ["x", "y"] {
            _ = try write("many/\(name).jsonl", (0..<30).map { Self.record("\(name) \($0)") })
        }
        let few = try write("few.jsonl", (0..<15).map { Self.record("few \($0)") })
        let drawn = try select([scratch.file("many"), few], "--weight", "\(scratch.file("many"))=2", "few.jsonl=1")
        #expect(drawn.train.count == 45 && drawn.train.count { $0.contains("few") } == 15)
    }

    /// Where a record comes from is found by a member that it gets if that is asked for, and it is unchanged else.
    @Test func recordsNameTheirSourceIfAsked() throws {
        let first = try write("first.jsonl", (0..<20).map { Self.record("first \($0)") })
        let second = try scratch.write(
            "second.json",
            "[\n"
                + (0..<20).map {
                    #"[{"role": "user", "content": "second \#($0)"}, {"role": "assistant", "content": "a"}]"#
                }
                .joined(separator: ",\n") + "\n]")
        let selected = try select([first, second], "--max-samples", "25", "--source-field", "origin")
        #expect(selected.train.count == 25)
        for text in selected.train {
            let record = try JSONFile(contents: Array(text.utf8), path: "record").root
            let origin = try record.required("origin")
            let lines = String(decoding: try readFile(origin.string("file")), as: UTF8.self).split(separator: "\n")
            let line = try String(lines[origin.int("line") - 1])
            let question = try record.required("messages").elements[0].string("content")
            #expect(line.contains("\"\(question)\""))
            let (end, array) = (text.range(of: ", \"origin\"")?.lowerBound, text.hasPrefix("{\"messages\": ["))
            let own = String(text[..<(try #require(end))])
            #expect(
                line.hasPrefix("{")
                    ? line == own + "}" : array && line.hasPrefix(own.dropFirst("{\"messages\": ".count)))
        }
        // Both kinds are read again.
        let again = try write("selected.jsonl", selected.train)
        #expect(try select([again]).report.int("selected") == 25)
        let run = try ProgramRun(
            "Preprocess",
            [
                "select", "--train-data-path", scratch.file("train.jsonl"), "--output", scratch.file("again.jsonl"),
                "--source-field", "origin",
            ]
        ).finish()
        #expect(run.code == 1 && run.errors.contains("train.jsonl:1: has a member 'origin' already"))
        #expect(!fileExists(scratch.file("again.jsonl")))
    }

    /// Where a sample comes from is found again in any file of a dataset.
    @Test func samplesOfSeveralFilesAreFoundAgain() throws {
        let all = conversationLines(30)
        let files = [
            try write("a.jsonl", Array(all[..<12])), try write("b.jsonl", Array(all[12..<14])),
            try write("c.jsonl", Array(all[14...])),
        ]
        let model = Fixtures.folder.appending(path: "tokenizers/smollm2").path(percentEncoded: false)
        func run(_ words: [String]) throws -> (code: Int32, output: String, errors: String) {
            try ProgramRun("Preprocess", words + ["--cache-dir", scratch.file("cache")]).finish()
        }
        let built = try run(
            ["build", "--target-model-path", model, "--chat-template", "qwen", "--train-data-path"] + files)
        #expect(built.code == 0, "\(built.errors)")
        var found: Set<String> = []
        for number in [0, 9, 10, 11, 23] {
            let shown = try run(["inspect", "--sample", "\(number)"]).errors
            let match = try #require(shown.firstMatch(of: #/id '(row-\d+)', (\S+):(\d+), /#), "\(shown)")
            let (path, line) = (String(match.output.2), try #require(Int(match.output.3)))
            let lines = String(decoding: try readFile(path), as: UTF8.self).split(separator: "\n")
            #expect(lines[line - 1].contains("\"\(match.output.1)\""))
            found.insert(path)
        }
        #expect(found.count == 3)
    }
}
