import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

struct VocabularyCoverageTests {
    @Test func isThatOfTheMappingForEverySize() throws {
        var random = SplitMix64(seed: 4)
        let counts = (0..<200).map { _ in UInt64.random(in: 0...9, using: &random) }
        let coverage = VocabularyCoverage(counts: counts, always: [7, 150], heldOut: counts.reversed())
        #expect(coverage.smallest == 2)
        for size in 2...200 {
            let mapping = try VocabularyMapping.derive(counts: counts, draftVocabSize: size, always: [7, 150])
            #expect(coverage.share(draftVocabSize: size) == mapping.coverage)
            let held = mapping.draftToTarget.map { counts[199 - Int($0)] }.reduce(0, +)
            #expect(coverage.heldOutShare(draftVocabSize: size) == Double(held) / Double(counts.reduce(0, +)))
        }
    }
}

struct HTMLTests {
    @Test func textIsEscaped() {
        #expect(htmlEscaped("<a href=\"x\">&\u{1}é") == "&lt;a href=&quot;x&quot;&gt;&amp;\u{FFFD}é")
        #expect(
            grouped(1_234_567) == "1\u{202F}234\u{202F}567" && grouped(12) == "12" && grouped(-1234) == "-1\u{202F}234")
    }

    @Test func histogramsCountEveryValue() {
        let histogram = Histogram([0, 0.1, 0.5, 0.99, 1], limit: 1, bins: 4)
        #expect(histogram.counts == [2, 0, 1, 2] && histogram.bounds == [0, 0.25, 0.5, 0.75, 1])
    }
}

/// Commands about stores, as a user runs them.
struct StoreCommandTests {
    private let scratch: ScratchDirectory
    private let cache: String
    private let model = Fixtures.folder.appending(path: "tokenizers/smollm2").path(percentEncoded: false)

    init() throws {
        scratch = try ScratchDirectory()
        cache = scratch.file("cache")
    }

    private func run(_ arguments: [String]) throws -> (code: Int32, output: String, errors: String) {
        try ProgramRun("Preprocess", arguments).finish()
    }

    private func build(_ lines: [String], _ name: String, _ more: [String] = []) throws -> String {
        let data = try scratch.write(name, lines.joined(separator: "\n") + "\n")
        let end = try run(
            ["build", "--train-data-path", data, "--target-model-path", model, "--cache-dir", cache]
                + ["--chat-template", "qwen"] + more)
        try #require(end.code == 0, "\(end.errors)")
        return data
    }

    @Test func writesAPageThatNeedsNothingElse() throws {
        let data = try build(conversationLines(60), "data.jsonl")
        let other = try build(conversationLines(20).reversed(), "other.jsonl")
        let page = scratch.file("page.html")
        let end = try run(
            ["inspect", "--cache-dir", cache, "--train-data-path", data, "--eval-data-path", other, "--html", page]
                + ["--draft-vocab-size", "100", "1000"])
        #expect(end.code == 0, "\(end.errors)")
        let text = try String(contentsOfFile: page, encoding: .utf8)
        #expect(text.hasPrefix("<!doctype html>") && text.hasSuffix("</html>\n"))
        #expect(text.contains("<mark>Answer 0 ]} 👍\n&lt;|im_end|&gt;"))
        #expect(text.contains("no assistant message") && text.contains("held-out data"))
        #expect(text.count(of: "<svg") == 3 && text.count(of: "<svg") == text.count(of: "</svg>"))
        #expect(!text.contains("src=") && !text.contains("href=") && !text.contains("NaN") && !text.contains("inf\""))
    }

    @Test func saysTheCoverageOfAnySize() throws {
        let data = try build(conversationLines(40), "data.jsonl")
        let choice = ["inspect", "--cache-dir", cache, "--train-data-path", data]
        let end = try run(choice + ["--draft-vocab-size", "12", "49152", "--eval-data-path", data, "--json"])
        let root = try JSONFile(contents: Array(end.output.utf8), path: "statistics").root
        #expect(try root.required("coverage").double("49152") == 1)
        let small = try root.required("coverage").double("12")
        #expect(try small > 0.5 && small < 1 && root.required("held_out_coverage").double("12") == small)
        #expect(try run(choice + ["--draft-vocab-size", "1"]).errors.contains("--draft-vocab-size is 1, should be "))
    }

    @Test func tellsWhatIsInBothDatasets() throws {
        let lines = conversationLines(10)
        let data = try build(lines + [lines[1]], "data.jsonl")
        let asked =
            #"{"prompt": "  question 4:   \"{[\\\" É   \#(String(repeating: "X", count: 148))", "completion": "x"}"#
        let eval = try scratch.write("eval.jsonl", asked + "\n")
        let end = try run(["inspect", "--cache-dir", cache, "--check-overlap", eval])
        let expected = """
            1 of 11 records are copies of earlier ones
              \(absolutePath(data)):11 is \(absolutePath(data)):2
            1 of 11 records ask one of the 1 other questions
              \(absolutePath(data)):5 asks \(eval):1

            """
        #expect(end.output == expected, "\(end.output) \(end.errors)")
    }

    @Test func comparesStores() throws {
        let lines = conversationLines(30)
        let first = try build(lines, "first.jsonl")
        let second = try build(Array(lines[1...]), "second.jsonl", ["--max-length", "64"])
        let choice = ["diff", "--cache-dir", cache, "--train-data-path", first, "--other-data-path"]
        #expect(try run(choice + [first]).code == 0)
        let end = try run(choice + [second])
        #expect(end.code == 1 && end.output.contains("setting --max-length: 2048 -> 64"), "\(end.output)")
        #expect(end.output.contains("samples are only in the first\n  row-0\n"))
        #expect(end.output.contains("tokens from 64 on"))
        let mask = try build(lines, "mask.jsonl", ["--ignore-token", "<|im_end|>"])
        #expect(try run(choice + [mask]).output.contains("mask from "))
    }

    @Test func prunesWhatCannotBeUsed() throws {
        let good = try build(conversationLines(20), "good.jsonl")
        let stale = try build(conversationLines(30), "stale.jsonl")
        let gone = try build(conversationLines(40), "gone.jsonl")
        _ = try scratch.write("stale.jsonl", "{}\n")
        try FileManager.default.removeItem(atPath: gone)
        try Data("x".utf8).write(to: URL(filePath: cache + "/0123.mdb"))
        let stores = [good, stale, gone].map { StoreLocation.path(cacheDir: cache, dataPaths: [$0]) }
        let listed = try run(["list", "--cache-dir", cache]).output.split(separator: "\n")
        #expect(listed.count == 4 && !listed.contains { $0.hasPrefix("0123 ") })
        #expect(
            listed.count { $0.contains("  complete  ") } == 1 && listed.count { $0.contains("  out of date  ") } == 1)
        let before = try listDirectory(cache)
        let size = shortNumber(Double(try FileStatus(of: stores[1]).size))
        #expect(
            try run(["prune", "--cache-dir", cache, "--dry-run"]).output
                == "would remove: \(stores[1]): out of date\n1 store, \(size)B\n")
        #expect(try listDirectory(cache) == before)
        #expect(try run(["prune", "--cache-dir", cache]).code == 0)
        #expect(!fileExists(stores[1]) && fileExists(stores[2]))
        #expect(try run(["prune", "--cache-dir", cache, "--missing"]).code == 0)
        #expect(try listDirectory(cache).count == 3 && fileExists(stores[0]) && fileExists(cache + "/0123.mdb"))
    }

    @Test(arguments: ["dump", "list", "inspect"]) func saysThatOutputCannotBeWritten(command: String) throws {
        _ = try build(conversationLines(40), "data.jsonl")
        let end = try ProgramRun("Preprocess", [command, "--cache-dir", cache], output: "/dev/full").finish()
        #expect(
            end.code == 1 && end.errors == "error: standard output: can't write it: No space left on device\n",
            "\(end.errors)")
    }

    /// So that a cache that others keep, and this user only reads, will do.
    @Test func needsNoLockWhereNothingIsBuilt() throws {
        let data = try build(conversationLines(20), "data.jsonl")
        let store = StoreLocation.path(cacheDir: cache, dataPaths: [data])
        try FileManager.default.removeItem(atPath: store + ".lock")
        _ = try build(conversationLines(20), "data.jsonl")
        #expect(try !listDirectory(cache).contains { $0.hasSuffix(".lock") })
    }

    @Test func removesWhatEndedRanksLeft() throws {
        let store = StoreLocation.path(cacheDir: cache, dataPaths: [scratch.file("data.jsonl")])
        try makeDirectory("\(store).ranks-1/some")
        _ = try build(conversationLines(20), "data.jsonl")
        #expect(try listDirectory(cache).count == 2)
    }
}

extension String {
    fileprivate func count(of part: String) -> Int { components(separatedBy: part).count - 1 }
}
