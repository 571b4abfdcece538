import Foundation
import Shared
import TestSupport
import Testing

@testable import Preprocess

/// The program as a user runs it, with SmolLM2's tokenizer.
@Suite(.serialized) struct BuildCommandTests {
    private let scratch: ScratchDirectory
    private let cache: String
    private let model = Fixtures.folder.appending(path: "tokenizers/smollm2").path(percentEncoded: false)

    init() throws {
        scratch = try ScratchDirectory()
        cache = scratch.file("cache")
    }

    private func arguments(_ data: [String], cache: String? = nil, _ more: [String] = []) -> [String] {
        ["build", "--train-data-path"] + data + [
            "--target-model-path", model, "--cache-dir", cache ?? self.cache, "--chat-template", "qwen",
        ] + more
    }

    private func run(_ arguments: [String]) throws -> (code: Int32, output: String, errors: String) {
        try ProgramRun("Preprocess", arguments).finish()
    }

    private func data(_ lines: [String], _ name: String = "data.jsonl") throws -> String {
        try scratch.write(name, lines.joined(separator: "\n") + "\n")
    }

    /// Text that compresses badly, so that a build takes a while and many commits.
    private func largeData(_ rows: Int) throws -> String {
        var random = SplitMix64(seed: 5)
        func words(_ count: Int) -> String {
            (0..<count).map { _ in String(random.next(), radix: 36) }
                .joined(separator: " ")
        }
        return try data(
            (0..<rows).map { _ in
                #"{"conversations": [{"from": "human", "value": "\#(words(50))"}, {"from": "gpt", "value": "\#(words(150))"}]}"#
            })
    }

    @Test func buildsOnceAndIsThenUpToDate() throws {
        let data = try data(conversationLines(100))
        let first = try run(arguments([data], ["--json"]))
        #expect(first.code == 0, "\(first.errors)")
        let report = try JSONFile(contents: Array(first.output.utf8), path: "report").root
        let counts = try report.required("counts")
        #expect(try counts.int("read") == 100 && counts.int("kept") == 80)
        #expect(try report.bool("up_to_date") == false)
        let store = StoreLocation.path(cacheDir: cache, dataPaths: [data])
        let bytes = try readFile(store)
        let inode = try FileStatus(of: store).inode
        let second = try run(arguments([data]))
        #expect(try FileStatus(of: store).inode == inode)
        #expect(second.code == 0 && second.output.hasPrefix("up to date: \(store)\n"))
        #expect(try readFile(store) == bytes)
        #expect(try listDirectory(cache).filter { $0.hasSuffix(".partial") || $0.hasSuffix(".sealed") }.isEmpty)
        // 'build' may be left out.
        #expect(try run(Array(arguments([data]).dropFirst())).output.hasPrefix("up to date"))
    }

    @Test(arguments: [
        (["--max-length", "100"], "--max-length: 2048 -> 100"),
        (["--chat-template", "chatml"], "--chat-template: qwen -> chatml"),
        (["--train-only-last-turn"], "--train-only-last-turn: off -> on"),
        (["--min-loss-tokens", "5"], "--min-loss-tokens: 1 -> 5"),
        (["--overflow", "split"], "--overflow: truncate -> split"),
        (["--ignore-token", "<|im_end|>"], "ignored tokens: none -> 2"),
    ])
    func buildsAgainAndSaysWhatChanged(more: [String], change: String) throws {
        let data = try data(conversationLines(30))
        #expect(try run(arguments([data])).code == 0)
        let again = try run(arguments([data], more))
        #expect(again.code == 0 && again.errors.contains("building again: \(change)"), "\(again.errors)")
        #expect(try run(arguments([data], more)).output.hasPrefix("up to date"))
    }

    @Test func buildsAgainForOtherData() throws {
        let path = try data(conversationLines(30))
        #expect(try run(arguments([path])).code == 0)
        _ = try data(conversationLines(31))
        let longer = try run(arguments([path]))
        #expect(longer.output.contains("31 read") && longer.errors.contains("building again: size of \(path): "))
        // Written again with the same content it is the same dataset, with another it isn't.
        _ = try data(conversationLines(31))
        #expect(try run(arguments([path])).output.hasPrefix("up to date"))
        var lines = conversationLines(31)
        lines.swapAt(0, 10)
        lines.swapAt(0, 20)
        let text = lines.joined(separator: "\n") + "\n"
        #expect(try text.utf8.count == FileStatus(of: path).size)
        _ = try data(lines)
        #expect(try run(arguments([path])).errors.contains("building again: content of \(path): "))
        // Two files are a dataset of their own.
        let other = try data(conversationLines(5), "other.jsonl")
        #expect(try run(arguments([path, other])).output.contains("36 read"))
        #expect(try CacheDirectory(cache).stores().count == 2)
    }

    @Test func takesFilesOfAllFormsByAPattern() throws {
        let lines = conversationLines(40)
        let parts = [(0, "a.jsonl"), (10, "b.jsonl"), (20, "c.jsonl"), (30, "d.jsonl")]
        let whole = try data(lines, "whole.jsonl")
        for (first, name) in parts { _ = try data(Array(lines[first..<first + 10]), name) }
        try Packed.gzip(scratch.file("b.jsonl"))
        try Packed.zstd(scratch.file("c.jsonl"))
        let pattern = scratch.file("[a-d].jsonl*")
        let end = try run(arguments([pattern]))
        #expect(end.code == 0 && end.output.contains("40 read"), "\(end.errors)")
        #expect(try run(arguments([pattern])).output.hasPrefix("up to date"))
        #expect(try run(arguments([whole])).code == 0)
        func dump(_ data: String) throws -> String {
            try run(["dump", "--cache-dir", cache, "--train-data-path", data]).output
        }
        #expect(try dump(pattern) == dump(whole) && dump(whole).count > 1000)
        let rejected = try run(["inspect", "--rejected", "--cache-dir", cache, "--train-data-path", pattern]).output
        #expect(rejected.contains("\(scratch.file("b.jsonl.gz")):8: rejected, no assistant message: "), "\(rejected)")
    }

    @Test(arguments: [1, 40, 99])
    func goesOnWithADatasetThatHasGrown(first: Int) throws {
        let lines = conversationLines(100)
        let path = try data(Array(lines[..<first]))
        #expect(try run(arguments([path], ["--min-loss-tokens", "0"])).code == 0)
        _ = try data(lines)
        let grown = try run(arguments([path], ["--min-loss-tokens", "0"]))
        #expect(grown.errors.contains("the dataset has grown: continuing after record \(first)"), "\(grown.errors)")
        let whole = scratch.file("whole")
        #expect(try run(arguments([path], cache: whole, ["--min-loss-tokens", "0"])).code == 0)
        func store(_ cache: String) throws -> [UInt8] {
            try readFile(StoreLocation.path(cacheDir: cache, dataPaths: [path]))
        }
        #expect(try store(cache) == store(whole))
        // A line that was changed makes all of it another dataset.
        _ = try data([lines[1]] + lines[1...] + ["{}"])
        #expect(try !run(arguments([path], ["--min-loss-tokens", "0"])).errors.contains("going on"))
    }

    @Test func linksTheStoreOfTheSameContents() throws {
        let (first, second) = (try data(conversationLines(50)), try data(conversationLines(50), "second.jsonl"))
        #expect(try run(arguments([first])).output.hasPrefix("built"))
        let linked = try run(arguments([second]))
        let stores = [first, second].map { StoreLocation.path(cacheDir: cache, dataPaths: [$0]) }
        #expect(linked.output.hasPrefix("up to date: \(stores[1])\n"), "\(linked.output)")
        #expect(linked.errors.contains("linked to \(stores[0])"), "\(linked.errors)")
        #expect(try FileStatus(of: stores[0]).inode == FileStatus(of: stores[1]).inode)
        #expect(try !run(arguments([second])).errors.contains("linked"))
        #expect(try SampleStore(reading: stores[1]).manifest.files.map(\.path) == [absolutePath(second)])
        let rejected = try run(["inspect", "--rejected", "--cache-dir", cache, "--train-data-path", second]).output
        #expect(rejected.hasPrefix("\(absolutePath(second)):"), "\(rejected)")
        // What becomes of the second dataset is nothing to the first.
        _ = try data(conversationLines(60), "second.jsonl")
        #expect(try run(arguments([second])).output.hasPrefix("built"))
        #expect(try run(arguments([first])).output.hasPrefix("up to date"))
        #expect(try SampleStore(reading: stores[1]).manifest.files.map(\.path) == [absolutePath(second)])
    }

    private func size(_ path: String) -> Int { (try? FileStatus(of: path).size) ?? 0 }

    /// Killed at any moment, a build leaves nothing that passes for a store; the next run goes on, and its store is
    /// that of a build that wasn't killed, byte for byte.
    @Test func continuesAfterBeingKilled() throws {
        let data = try largeData(8000)
        let store = StoreLocation.path(cacheDir: cache, dataPaths: [data])
        let whole = scratch.file("whole")
        #expect(try run(arguments([data], cache: whole)).code == 0)
        let expected = try readFile(StoreLocation.path(cacheDir: whole, dataPaths: [data]))
        var continued = 0
        // At once, within a commit, and some time after one.
        for (growth, delay) in [(1, UInt32(0)), (1 << 20, 0), (1 << 20, 200_000), (1 << 20, 0)] {
            let enough = size(store + ".partial") + growth
            let build = try ProgramRun("Preprocess", arguments([data]))
            while build.isRunning, size(store + ".partial") < enough { usleep(200) }
            usleep(delay)
            build.signal(SIGKILL)
            let end = try build.finish()
            continued += end.errors.contains("after record") ? 1 : 0
            #expect(end.code == -SIGKILL && !fileExists(store))
        }
        #expect(continued > 0)
        let last = try run(arguments([data]))
        #expect(last.code == 0 && last.errors.contains("after record"), "\(last.errors)")
        #expect(try readFile(store) == expected)
    }

    @Test func stopsInOrderAtCtrlC() throws {
        let data = try largeData(8000)
        let store = StoreLocation.path(cacheDir: cache, dataPaths: [data])
        let build = try ProgramRun("Preprocess", arguments([data]))
        while build.isRunning, size(store + ".partial") < 1 << 20 { usleep(200) }
        build.signal(SIGINT)
        let end = try build.finish()
        #expect(end.code == 130 && end.errors.hasSuffix("interrupted\n") && !fileExists(store), "\(end)")
        #expect(try run(["list", "--cache-dir", cache]).output.contains("unfinished"))
        #expect(try run(arguments([data])).code == 0)
        #expect(try run(["verify", "--cache-dir", cache]).output.hasPrefix("whole: "))
        let measured = try run(["verify", "--cache-dir", cache, "--measure"]).output
        #expect(measured.contains(" tokens/s in order, ") && measured.contains("in random order"))
    }

    @Test func letsOneOfTwoBuildsWait() throws {
        let data = try largeData(4000)
        let builds = try (0..<2).map { _ in try ProgramRun("Preprocess", arguments([data])) }
        let ends = try builds.map { try $0.finish() }
        #expect(ends.allSatisfy { $0.code == 0 })
        #expect(ends.filter { $0.output.hasPrefix("built ") }.count == 1)
        #expect(ends.filter { $0.output.hasPrefix("up to date: ") && $0.errors.contains("waiting") }.count == 1)
    }

    @Test func namesEveryMistake() throws {
        let good = try data(conversationLines(5))
        let empty = try data([], "empty.jsonl")
        let useless = try data(["{}", "7"], "useless.jsonl")
        func check(_ arguments: [String], _ code: Int32, _ message: String) throws {
            let end = try run(arguments)
            #expect(end.code == code && end.errors.contains(message), "\(end.code) \(end.errors)")
        }
        try check(arguments([scratch.file("none")]), 1, "none: can't open it: No such file or directory")
        try check(arguments([empty]), 1, "empty.jsonl: has no records")
        try check(arguments([useless]), 1, "none of its 2 records can be used: 2 not a conversation; the first: ")
        try check(arguments([scratch.file("*.txt")]), 1, "*.txt: no file fits this pattern")
        try check(arguments([good], cache: good + "/cache"), 1, "Not a directory")
        try check(arguments([good], ["--chat-template", "qwem"]), 1, "did you mean 'qwen'?")
        try check(arguments([good], ["--max-length", "0"]), 64, "--max-length is 0, should be 1 to 16777216")
        try check(arguments([good], ["--max-record-size", "0"]), 64, "--max-record-size is 0, should be 1 to 1024")
        try check(arguments([good], ["--draft-vocab-size", "50000"]), 64, "to the target's vocabulary, 49152")
        try check(arguments([good], ["--chat-template", "none.jinja"]), 1, "none.jinja: can't open")
        try check(arguments([good], ["--date-string", "soon"]), 64, "should be as '26 Jul 2024'")
        try check(
            arguments([good], ["--chat-template", "auto", "--is-preformatted"]), 64, "whose headers mark the turns")
        try check(arguments([good], ["--chat-template", "llama3"]), 1, "the headers of 'llama3' are the template's")
    }

    /// What is refused leaves nothing that `list` would show; what a build can go on with stays.
    @Test func leavesNothingOfNoUse() throws {
        for lines in [[], ["{}", "7"]] {
            #expect(try run(arguments([data(lines)])).code == 1)
            #expect(try listDirectory(cache) == [])
        }
        #expect(try run(arguments([scratch.path])).code == 1)
        #expect(try listDirectory(cache) == [])
        // What was there before stays.
        let good = try data(conversationLines(20))
        #expect(try run(arguments([good])).code == 0)
        let store = StoreLocation.path(cacheDir: cache, dataPaths: [good])
        _ = try data(["{}"])
        #expect(try run(arguments([good])).code == 1)
        #expect(
            try listDirectory(cache).filter { !$0.hasSuffix(".lock") } == [
                String(store.split(separator: "/").last ?? "")
            ])
    }

    @Test func decodesNoIDsWithoutAToken() throws {
        for (line, id) in [("[5, 49152]", "49152"), ("[-1]", "-1")] {
            let input = try scratch.write("ids", "[5, 6]\n\(line)\n")
            let end = try ProgramRun(
                "Preprocess", ["tokenize", "--target-model-path", model, "--decode"], input: input
            ).finish()
            #expect(end.code == 1 && end.output.split(separator: "\n").count == 1, "\(end)")
            #expect(
                end.errors.contains("standard input:2: \(id) is no token's id; the vocabulary's size is 49152"),
                "\(end)")
        }
    }

    /// Each turn is a sample with what stands before it, only its own answer supervised; counts reconcile.
    @Test func makesARowOfEachTurn() throws {
        let data = try data(conversationLines(40))
        #expect(try run(arguments([data], ["--row-per-turn"])).output.contains("40 read, 32 kept, 8 rejected\n"))
        let store = try SampleStore(reading: StoreLocation.path(cacheDir: cache, dataPaths: [data]))
        let counts = store.manifest.counts
        #expect(counts.read == 40 && counts.kept == 32 && counts.samples == 56 && counts.isReconciled)
        #expect(store.count == 56)
        let (first, second) = (try store.sample(at: 0), try store.sample(at: 1))
        // The first turn's tokens begin the second's, which supervises another answer.
        #expect(second.inputIDs.starts(with: first.inputIDs) && second.inputIDs.count > first.inputIDs.count)
        #expect(first.lossMask.contains(true) && !second.lossMask[..<first.lossMask.count].contains(true))
        #expect(try run(["verify", "--cache-dir", cache]).code == 0)
    }

    @Test func refusesWhatCantBeMeant() throws {
        // No answer says anything, so that almost nothing is supervised.
        let question = String(repeating: "word ", count: 6000)
        let line = #"{"conversations": [{"from": "human", "value": "\#(question)"}, {"from": "gpt", "value": ""}]}"#
        let data = try data([String](repeating: line, count: 3))
        let more = ["--max-length", "19000", "--min-loss-tokens", "0"]
        let end = try run(arguments([data], more))
        #expect(end.code == 1 && end.errors.contains("% of its tokens are supervised, which is implausible"), "\(end)")
        #expect(try run(arguments([data], more + ["--any-supervised-share"])).code == 0)
    }

    @Test func checksTemplates() throws {
        let good = try run(["check-template", "--target-model-path", model])
        #expect(good.code == 0 && good.output.contains("ok      every answer is supervised"), "\(good)")
        let bad = try run(["check-template", "--target-model-path", model, "--chat-template", "llama3", "--json"])
        #expect(bad.code == 1 && bad.errors.contains("the template failed"))
        let root = try JSONFile(contents: Array(bad.output.utf8), path: "findings").root
        #expect(try !root.bool("holds"))
    }

    @Test func showsWhatIsInTheStore() throws {
        let data = try data(conversationLines(40))
        #expect(try run(arguments([data])).code == 0)
        let choice = ["--cache-dir", cache]
        #expect(try run(["list"] + choice).output.contains("complete"))
        #expect(try run(["verify"] + choice).code == 0)
        let statistics = try run(["inspect", "--json"] + choice).output
        let root = try JSONFile(contents: Array(statistics.utf8), path: "statistics").root
        #expect(try root.required("manifest").required("counts").int("kept") == 32)
        let sample = try run(["inspect", "--sample", "0"] + choice)
        #expect(sample.output.contains("<|im_start|>assistant\n[[Answer 0 ]} 👍\n<|im_end|>"), "\(sample.output)")
        #expect(sample.errors.contains("\(data):1, "))
        let rejected = try run(["inspect", "--rejected"] + choice).output.split(separator: "\n")
        #expect(rejected.count { $0.contains(": rejected, ") } == 8)
        #expect(rejected.contains { $0.hasPrefix("\(data):8: rejected, no assistant message: ") })
        #expect(try run(["inspect", "--sample", "32"] + choice).errors.contains("has no sample 32: it has 32, from 0"))

        let lines = try run(["dump"] + choice).output.split(separator: "\n")
        let store = try SampleStore(reading: StoreLocation.path(cacheDir: cache, dataPaths: [data]))
        #expect(lines.count == store.count)
        for (index, line) in lines.enumerated() {
            let root = try JSONFile(contents: Array(line.utf8), path: "line").root
            func numbers(_ key: String) throws -> [Int] { try root.required(key).elements.map { try $0.asInt() } }
            let sample = try store.sample(at: index)
            #expect(try numbers("input_ids") == sample.inputIDs.map(Int.init))
            #expect(try numbers("loss_mask") == sample.lossMask.map { $0 ? 1 : 0 })
            #expect(try numbers("attention_mask") == sample.inputIDs.map { _ in 1 })
            #expect(try root.string("id") == String(decoding: store.source(of: index).id, as: UTF8.self))
        }
    }

    @Test func findsDamage() throws {
        let data = try data(conversationLines(40))
        #expect(try run(arguments([data])).code == 0)
        let store = StoreLocation.path(cacheDir: cache, dataPaths: [data])
        var bytes = try readFile(store)
        let frame = try #require(
            bytes.indices.first { bytes[$0...].starts(with: [0x28, 0xB5, 0x2F, 0xFD]) })
        bytes[frame + 200] ^= 4
        try Data(bytes).write(to: URL(filePath: store))
        let end = try run(["verify", "--cache-dir", cache])
        #expect(end.code == 1 && end.errors.contains("is damaged"), "\(end.errors)")
    }
}
