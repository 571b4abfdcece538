import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// `Preprocess select`: which records are written, and that nothing is lost, repeated or shared.
@Suite(.serialized) struct SelectTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    static func record(_ question: String, _ answer: String = "a", more: String = "") -> String {
        "{\"messages\": [{\"role\": \"user\", \"content\": \(JSONText.quoted(question))}, "
            + "{\"role\": \"assistant\", \"content\": \(JSONText.quoted(answer))}]\(more)}"
    }

    func select(_ data: [String], _ more: String...) throws -> (
        train: [String], heldOut: [String], report: JSONNode
    ) {
        try select(data, more)
    }

    func select(_ data: [String], _ more: [String]) throws -> (
        train: [String], heldOut: [String], report: JSONNode
    ) {
        let words = ["select", "--train-data-path"] + data + ["--output", scratch.file("train.jsonl"), "--json"]
        let run = try ProgramRun("Preprocess", words + more).finish()
        try #require(run.code == 0, "\(run.errors)")
        func lines(_ name: String) throws -> [String] {
            guard fileExists(scratch.file(name)) else { return [] }
            return String(decoding: try readFile(scratch.file(name)), as: UTF8.self).split(separator: "\n").map(
                String.init)
        }
        return (
            try lines("train.jsonl"), try lines("held.jsonl"),
            try JSONFile(contents: Array(run.output.utf8), path: "report").root
        )
    }

    func write(_ name: String, _ records: [String]) throws -> String {
        try scratch.write(name, records.map { $0 + "\n" }.joined())
    }

    /// A dataset of 600 records that ask 200 questions, each three times with other answers.
    private var records: [String] {
        (0..<600).map { Self.record("question number \($0 % 200)?", "answer \($0)") }
    }

    @Test func withoutOptionsItWritesEveryRecordUnchanged() throws {
        let own = records + [Self.record("Ünïcode \u{2028} \\ \"q\"", more: ", \"score\": 1.50, \"x\": null")]
        let data = try write("data.jsonl", own)
        let selected = try select([data])
        #expect(selected.train == own)
        // Other layouts become lines; what can't be read is counted.
        let array = try scratch.write(
            "array.json",
            "[\n" + own.map { $0.replacing("\"messages\"", with: "\n \"messages\"") }.joined(separator: ",\n") + "\n]")
        #expect(try select([array]).train == own.map { $0.replacing("\"messages\"", with: "  \"messages\"") })
        let broken = try write("broken.jsonl", ["{\"messages\": [", own[0], "{\"a\": 1}"])
        let report = try select([broken])
        #expect(try report.train == [own[0]] && report.report.int("unreadable") == 2 && report.report.int("read") == 3)
    }

    @Test func theTwoPartsShareNoQuestionAndGrowWithTheDataset() throws {
        let data = try write("data.jsonl", records)
        let options = ["--split", "0.25", "--held-out-output", scratch.file("held.jsonl")]
        let parts = try select([data], options[0], options[1], options[2], options[3])
        func questions(_ lines: [String]) -> Set<Substring> {
            Set(lines.compactMap { $0.firstMatch(of: #/question number \d+\?/#)?.output })
        }
        #expect(Set(parts.train + parts.heldOut) == Set(records) && parts.train.count + parts.heldOut.count == 600)
        #expect(questions(parts.train).isDisjoint(with: questions(parts.heldOut)))
        #expect((30...70).contains(questions(parts.heldOut).count))
        let more = records + (0..<100).map { Self.record("other \($0)") }
        let grown = try select([write("data.jsonl", more)], options[0], options[1], options[2], options[3])
        #expect(Array(grown.train.prefix(parts.train.count)) == parts.train)
        #expect(Array(grown.heldOut.prefix(parts.heldOut.count)) == parts.heldOut)
        let other = try select([data], options[0], options[1], options[2], options[3], "--sample-seed", "1")
        #expect(questions(other.heldOut) != questions(parts.heldOut))
    }

    @Test func drawsAsManyAsWantedWhateverTheOrder() throws {
        let first = try write("first.jsonl", Array(records.prefix(400)))
        let second = try write("second.jsonl", Array(records.suffix(200)))
        let drawn = try select([first, second], "--max-samples", "150", "--cap", "second.jsonl=20")
        #expect(drawn.train.count == 150)
        #expect(drawn.train.count { records.suffix(200).contains($0) } == 20)
        #expect(drawn.train == records.filter(Set(drawn.train).contains), "in the dataset's order")
        let files = try drawn.report.required("files").asArray()
        #expect(try files.map { try $0.int("read") } == [400, 200])
        let shuffled = try write("shuffled.jsonl", records.reversed())
        let all = try select([write("all.jsonl", records)], "--max-samples", "99")
        #expect(try Set(select([shuffled], "--max-samples", "99").train) == Set(all.train))
        #expect(try Set(select([shuffled], "--max-samples", "99", "--sample-seed", "3").train) != Set(all.train))
        // A larger draw has the smaller one in it.
        #expect(try Set(all.train).isSubset(of: select([shuffled], "--max-samples", "200").train))
    }

    @Test func leavesOutCopiesAndWhatAsksNearlyTheSame() throws {
        let long = (0..<60).map { "word\($0)" }.joined(separator: " ")
        let rows = [
            Self.record(long), Self.record("short one"), Self.record(long), Self.record(long, "other"),
            Self.record(long + " and"), Self.record("short two"), Self.record(long.uppercased() + "\n"),
            Self.record((30..<90).map { "word\($0)" }.joined(separator: " ")),
        ]
        let data = try write("data.jsonl", rows)
        #expect(try select([data], "--deduplicate", "exact").train == rows.indices.filter { $0 != 2 }.map { rows[$0] })
        let near = try select([data], "--deduplicate", "near")
        #expect(near.train == [0, 1, 5, 7].map { rows[$0] })
        #expect(try near.report.int("duplicate") == 1 && near.report.int("near duplicate") == 3)
        let eval = try write("eval.jsonl", [Self.record("  SHORT\none "), Self.record("short three")])
        let clean = try select([data], "--decontaminate", eval)
        #expect(clean.train == rows.indices.filter { $0 != 1 }.map { rows[$0] })
        #expect(try clean.report.int("contaminated") == 1)
    }

    /// Only what makes the same sample is a copy.
    @Test func recordsThatDifferInMoreThanTheirTextsAreNoCopies() throws {
        func asked(_ answer: String, _ more: String = "") -> String {
            #"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", \#(answer)}]\#(more)}"#
        }
        func called(_ city: String) -> String {
            #""content": "", "tool_calls": [{"function": {"name": "w", "arguments": {"city": "\#(city)"}}}]"#
        }
        let rows = [
            asked(#""content": "a""#), asked(#""content": "a", "reasoning_content": "r""#),
            asked(#""content": "a", "reasoning_content": "s""#), asked(#""content": "a", "weight": 0"#),
            asked(#""content": "a""#, #", "tools": [{"name": "w", "parameters": {}}]"#), asked(called("Rome")),
            asked(called("Oslo")), #"{"input_ids": [1, 2], "loss_mask": [0, 1]}"#,
            #"{"input_ids": [1, 2], "loss_mask": [1, 1]}"#,
        ]
        let data = try write("data.jsonl", rows + rows)
        let selected = try select([data], "--deduplicate", "exact")
        #expect(try selected.train == rows && selected.report.int("duplicate") == rows.count)
    }

    /// Questions of benchmarks, whose answers are labels, code or lists; what can't be read is counted, and never passed over.
    @Test func otherDataNeedNoAnswersAndMustBeReadable() throws {
        let rows = ["one", "two", "three", "four"].map { Self.record($0) }
        let data = try write("data.jsonl", rows)
        let other = try write(
            "other.jsonl",
            [
                #"{"prompt": "One", "canonical_solution": "x"}"#, #"{"question": "two", "answer": 2}"#,
                #"{"question": "three", "answers": ["a", "b"]}"#, #"{"what": "four"}"#,
            ])
        let clean = try select([data], "--decontaminate", other)
        #expect(clean.train == [rows[3]])
        let counts = try clean.report.required("other_data")
        #expect(try counts.int("read") == 4 && counts.int("unreadable") == 1 && counts.int("questions") == 3)
        let none = try write("none.jsonl", [#"{"what": "four"}"#])
        let run = try ProgramRun(
            "Preprocess",
            [
                "select", "--train-data-path", data, "--output", scratch.file("train.jsonl"), "--decontaminate", none,
            ]
        ).finish()
        #expect(run.code == 1 && run.errors.contains("none.jsonl:1: "), "\(run.errors)")
    }

    @Test func keepsWhatIsWanted() throws {
        let two =
            #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}], "finished": true, "language": "English"}"#
        let rows = [
            two, Self.record("q", more: ", \"finished\": true"), Self.record("q", more: ", \"language\": \"English\""),
        ]
        let data = try write("data.jsonl", rows)
        #expect(try select([data], "--filter", ".finished").train == [rows[0], rows[1]])
        #expect(try select([data], "--filter", ".finished and .language == \"English\"").train == [rows[0]])
        #expect(
            try select([data], "--filter", "select(.messages | length < 4) | .messages[0].content").train == [
                rows[1], rows[2],
            ])
        #expect(try select([data], "--filter", "empty").train.isEmpty)
        #expect(try select([data], "--min-turns", "2").train == [rows[0]])
        #expect(try select([data], "--max-turns", "1").train == [rows[1], rows[2]])
    }

    @Test func whatAnExpressionFailsOnIsCountedApart() throws {
        let deep = Self.record(
            "deep", more: ", \"a\": " + String(repeating: "[", count: 400) + String(repeating: "]", count: 400))
        let rows = [
            Self.record("q", more: ", \"a\": {\"b\": 2, \"c\": NaN}"), Self.record("q", more: ", \"a\": \"x\""), deep,
        ]
        let selected = try select([write("data.jsonl", rows)], "--filter", ".a.b == 2")
        #expect(selected.train == [rows[0]])
        #expect(try selected.report.int("failed the filter") == 2 && selected.report.int("filtered") == 0)
    }

    @Test func countsTokensAsTheTargetsTemplateWritesThem() throws {
        let model = Fixtures.folder.appending(path: "tokenizers/smollm2").path(percentEncoded: false)
        let rows = [1, 10, 100].map { Self.record("q", String(repeating: " word", count: $0)) }
        let data = try write("data.jsonl", rows)
        let target = ["--chat-template", "qwen", "--target-model-path", model]
        func kept(_ bounds: String...) throws -> [Int] {
            let words = bounds + target
            return try select([data], words).train.compactMap(rows.firstIndex)
        }
        // What each has around its words: the same for all.
        let around = try #require((0..<40).first { try kept("--max-tokens", "\($0 + 1)") == [0] })
        #expect(try kept("--max-tokens", "\(around)").isEmpty)
        #expect(try kept("--max-tokens", "\(around + 9)") == [0] && kept("--max-tokens", "\(around + 10)") == [0, 1])
        #expect(try kept("--min-tokens", "\(around + 100)") == [2] && kept("--min-tokens", "\(around + 101)").isEmpty)
    }

    @Test(arguments: [
        (["--split", "0.1"], "together"), (["--cap", "nothing.jsonl=3"], "none of the dataset's files"),
        (["--weight", "nothing.jsonl=3"], "none of the dataset's files or directories"),
        (["--weight", "data.jsonl=0"], "a number above 0"), (["--weight", "data.jsonl=nan"], "a number above 0"),
        (["--weight", "data.jsonl=1", "data.jsonl=2"], "has two weights"),
        (["--cap", "data.jsonl=1", "data.jsonl=2"], "has two, the second by 'data.jsonl=2'"),
        (["--filter", ".a ||"], "--filter '.a ||': "), (["--min-tokens", "3"], "--target-model-path"),
        (["--min-tokens", "3", "--max-tokens", "2", "--target-model-path", "x"], "at least --min-tokens"),
        (["--target-model-path", "x"], "--min-tokens"),
        (["--min-turns", "3", "--max-turns", "2"], "at least --min-turns"),
    ])
    func refusesWhatMakesNoSense(words: [String], message: String) throws {
        let data = try write("data.jsonl", records)
        let run = try ProgramRun(
            "Preprocess", ["select", "--train-data-path", data, "--output", scratch.file("train.jsonl")] + words
        ).finish()
        #expect(run.code == 64 && run.errors.contains(message), "\(run.errors)")
        let over = try ProgramRun("Preprocess", ["select", "--train-data-path", data, "--output", data]).finish()
        #expect(over.code == 64)
        #expect(try readFile(data).count > 1000)
    }

    /// The estimate and the rule, against the sets themselves.
    @Test func nearDuplicatesAreThoseWithEightTenthsInCommon() {
        var generator = SplitMix64(seed: 2)
        var (close, apart) = ([Bool](), [Bool]())
        for _ in 0..<300 {
            let words = (0..<200).map { _ in Substring("w\(generator.next() % 100_000)") }
            var changed = words
            let changes = Bool.random(using: &generator) ? 2 : 40
            for _ in 0..<changes { changed[Int.random(in: 0..<200, using: &generator)] = "x\(generator.next())" }
            func shingles(_ words: [Substring]) -> Set<String> {
                Set((0...words.count - 3).map { words[$0..<$0 + 3].joined(separator: " ") })
            }
            let (a, b) = (shingles(words), shingles(changed))
            let share = Double(a.intersection(b).count) / Double(a.union(b).count)
            var near = NearDuplicates()
            #expect(near.add(words) == nil)
            let isNear = near.add(changed) == 0
            if share > 0.93 { close.append(isNear) }
            if share < 0.6 { apart.append(isNear) }
        }
        #expect(close.count > 100 && close.allSatisfy(\.self))
        #expect(apart.count > 100 && !apart.contains(true))
    }
}
