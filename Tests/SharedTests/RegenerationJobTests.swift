import Glibc
import TestSupport
import Testing

@testable import Shared

/// The files of a run that makes answers: order, resuming, and what is refused.
struct RegenerationJobTests {
    private static let count = 60
    private let settings = [OptionSetting(name: "--temperature", values: ["0.7"])]

    /// Every seventh record fails, every eleventh loops, every thirteenth is cut.
    private static func outcome(_ number: Int) -> RecordOutcome {
        if number % 7 == 3 { return .failed("server answered 400: \"too long\"\n") }
        let answers = (0...number % 3).map { turn in
            Answer(
                tokens: 10 * number + turn, isFinished: number % 13 != 5, isEmpty: false, isLooping: number % 11 == 2)
        }
        return .answered([("messages", .array([.string("text of \(number)\u{2028}\n")]))], answers)
    }

    private func source(_ number: Int, _ keys: inout RecordKeys) -> RecordSource {
        // Some records are equal.
        RecordSource(
            file: "q.jsonl", line: number + 1, id: "r\(number)", key: keys.next(Digest(of: "record \(number / 2)")))
    }

    private func options(_ path: String, _ more: String...) throws -> RegenerationOptions {
        try RegenerationOptions.parse(["--output", path] + more)
    }

    /// Runs to the end, or until `limit` records have ended; the order in which they end is random within a window.
    private func run(
        _ path: String, _ generator: inout SplitMix64, limit: Int = .max, leaveOut: [String] = []
    ) throws -> RegenerationReport? {
        let options = try RegenerationOptions.parse(
            ["--output", path] + (leaveOut.isEmpty ? [] : ["--leave-out"] + leaveOut))
        let job = try RegenerationJob(options, of: [], settings: settings)
        var (keys, waiting, ended) = (RecordKeys(), [(Int, Int)](), 0)
        for number in 0..<Self.count {
            if let ticket = job.begin(source(number, &keys)) { waiting.append((ticket, number)) }
            while waiting.count > (number == Self.count - 1 ? 0 : 9) {
                let (ticket, number) = waiting.remove(at: Int.random(in: waiting.indices, using: &generator))
                try job.end(ticket, Self.outcome(number))
                ended += 1
                if ended == limit {
                    try job.sync()
                    return nil
                }
            }
        }
        return try job.finish()
    }

    @Test func isByteForByteTheSameWhateverOrderRecordsEndInAndWhereverItWasKilled() throws {
        var generator = SplitMix64(seed: 7)
        let scratch = try ScratchDirectory()
        let whole = scratch.file("whole.jsonl")
        let report = try #require(try run(whole, &generator, leaveOut: ["looping"]))
        #expect(report.read == Self.count)
        #expect(report.written + report.failed + report.leftOut.values.reduce(0, +) == Self.count)
        #expect(report.failed == 9 && report.leftOut[.looping] == 5)
        let (lines, failures) = (try readFile(whole), try readFile("\(whole).failures.jsonl"))
        for round in 0..<40 {
            let path = scratch.file("killed\(round).jsonl")
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                _ = try run(
                    path, &generator, limit: Int.random(in: 1..<30, using: &generator), leaveOut: ["looping"])
                // What a machine that stops leaves of the files' ends.
                for file in [path, "\(path).failures.jsonl"] {
                    let bytes = try readFile(file)
                    try writeFile(file, bytes.dropLast(Int.random(in: 0...min(300, bytes.count), using: &generator)))
                }
            }
            let resumed = try #require(try run(path, &generator, leaveOut: ["looping"]))
            #expect(try readFile(path) == lines)
            let own = try readFile("\(path).failures.jsonl").split(separator: 10).map(Array.init)
            #expect(
                own.sorted { $0.lexicographicallyPrecedes($1) }
                    == failures.split(separator: 10).map(Array.init).sorted { $0.lexicographicallyPrecedes($1) })
            #expect(resumed.json == report.json)
        }
    }

    @Test func knowsRecordsByTheirContentsSoThatTheDatasetMayChange() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("answers.jsonl")
        func answers(of texts: [String]) throws -> [String] {
            let job = try RegenerationJob(options(path), of: [], settings: settings)
            var (keys, made) = (RecordKeys(), [String]())
            for (line, text) in texts.enumerated() {
                guard let ticket = job.begin(.init(file: "q", line: line, key: keys.next(Digest(of: text)))) else {
                    continue
                }
                made.append(text)
                try job.end(ticket, .answered([], []))
            }
            let report = try job.finish()
            #expect(report.text.contains("no longer has") == (report.written > texts.count))
            return made
        }
        #expect(try answers(of: ["a", "b", "a"]) == ["a", "b", "a"])
        #expect(try answers(of: ["new", "a", "b", "a", "a"]) == ["new", "a"])
        #expect(try answers(of: ["b"]) == [])
    }

    @Test func triesFailuresAgainIfAskedTo() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("answers.jsonl")
        func failed(_ more: String...) throws -> Int {
            let job = try RegenerationJob(
                RegenerationOptions.parse(["--output", path, "--leave-out", "empty"] + more), of: [], settings: settings
            )
            var (keys, count) = (RecordKeys(), 0)
            for (line, text) in ["good", "bad", "empty"].enumerated() {
                guard let ticket = job.begin(.init(file: "q", line: line, key: keys.next(Digest(of: text)))) else {
                    continue
                }
                count += 1
                let answer = Answer(tokens: 1, isFinished: true, isEmpty: text == "empty", isLooping: false)
                try job.end(ticket, text == "bad" ? .failed("why") : .answered([], [answer]))
            }
            let report = try job.finish()
            #expect(report.written == 1 && report.failed == 1 && report.leftOut == [.empty: 1])
            return count
        }
        #expect(try failed() == 3)
        #expect(try failed() == 0)
        #expect(try failed("--retry-failures") == 1)
        #expect(try failed("--force") == 3)
    }

    /// Neither the data nor answers that would become data are written over, also with `--force`.
    @Test func whatIsReadIsNotWritten() throws {
        let scratch = try ScratchDirectory()
        let data = try scratch.write("data.jsonl", "{}\n")
        let link = scratch.file("link.jsonl")
        try #require(symlink("data.jsonl", link) == 0)
        func isRefused(_ output: String, _ dataPath: String) throws -> Bool {
            let options = try options(output, "--force")
            do {
                _ = try RegenerationJob(options, of: [dataPath], settings: settings)
            } catch let error as RegenerationError {
                return error.message.contains("would be read as data")
            }
            return false
        }
        for output in [data, link, "\(scratch.path)/../\(scratch.path.split(separator: "/").last ?? "")/data.jsonl"] {
            for dataPath in [data, link, scratch.path, scratch.file("*.jsonl"), scratch.file("d?ta.*")] {
                #expect(try isRefused(output, dataPath), "\(output) of \(dataPath)")
            }
        }
        #expect(try readFile(data) == Array("{}\n".utf8))
        // What isn't there yet would be read by a run that continues.
        for dataPath in [scratch.path, scratch.file("*.jsonl"), scratch.file("new*")] {
            #expect(try isRefused(scratch.file("new.jsonl"), dataPath), "\(dataPath)")
        }
        #expect(try isRefused(scratch.file("new"), scratch.file("*.jsonl")), "its failures end so")
        for dataPath in [data, scratch.file("d*"), scratch.file("other*.jsonl")] {
            #expect(try !isRefused(scratch.file("answers.jsonl"), dataPath), "\(dataPath)")
        }
        try makeDirectory(scratch.file("answers"))
        #expect(try !isRefused(scratch.file("answers/a.jsonl"), scratch.path))
    }

    @Test func refusesOtherSettingsAndOthersFiles() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("answers.jsonl")
        var generator = SplitMix64(seed: 1)
        _ = try run(path, &generator)
        func message(_ options: RegenerationOptions, _ settings: [OptionSetting]) -> String {
            do {
                _ = try RegenerationJob(options, of: [], settings: settings)
                return ""
            } catch {
                return "\(error)"
            }
        }
        let greedy = [OptionSetting(name: "--temperature", values: ["0"])]
        #expect(try message(options(path), greedy).contains("--temperature 0.7 -> 0)"))
        #expect(try message(options(path), []).contains("--temperature 0.7 -> none"))
        #expect(try message(options(path, "--leave-out", "cut"), settings).contains("--leave-out none -> cut"))
        #expect(try message(options(path), settings) == "")
        do {
            let job = try RegenerationJob(options(path), of: [], settings: settings)
            #expect(try message(options(path), settings).contains("another process is writing it"))
            #expect(job.canBegin)
        }
        try writeFile(scratch.file("mine.jsonl"), "{}\n".utf8)
        #expect(
            try message(options(scratch.file("mine.jsonl")), settings).contains(
                "no \(scratch.file("mine.jsonl")).job.json"))
        #expect(try readFile(scratch.file("mine.jsonl")) == Array("{}\n".utf8))
        #expect(try message(options(scratch.path), settings).contains(scratch.path))
        // A line within the file is nobody's to discard.
        let good = try readFile(path).split(separator: 10)
        try writeFile(path, Array(good[0]) + [10] + Array(good[1].dropLast()) + [10] + Array(good[2]) + [10])
        #expect(try message(options(path), settings).contains("line 2 is not JSON"))
        try writeFile(path, Array(good[0]) + [10] + Array(good[0]) + [10])
        #expect(try message(options(path), settings).contains("more than once"))
    }

    @Test func reportsWhatTheAnswersAre() throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("answers.jsonl")
        let job = try RegenerationJob(options(path), of: [], settings: settings)
        var keys = RecordKeys()
        let texts = ["Yes.", "No.", "Yes.", "  ", "", ""]
        for (line, text) in texts.enumerated() {
            let ticket = try #require(job.begin(.init(file: "q", line: line, key: keys.next(Digest(of: "\(line)")))))
            let message = JSONText.object([("role", .string("assistant")), ("content", .string(text))])
            let answer = Answer(utf8: Array(text.utf8), tokens: line + 1, isFinished: line != 1)
            try job.end(ticket, .answered([("messages", .array([message]))], [answer]))
        }
        let ids: [(ids: [Int32], mask: [Int])] = [([1, 7, 8, 2], [0, 1, 1, 1]), ([3, 4, 7, 8, 2], [0, 0, 1, 1, 1])]
        for (number, row) in ids.enumerated() {
            let ticket = try #require(job.begin(.init(file: "q", line: 9, key: keys.next(Digest(of: "ids \(number)")))))
            try job.end(
                ticket,
                .answered(
                    [
                        ("input_ids", .array(row.ids.map { .int(Int($0)) })),
                        ("loss_mask", .array(row.mask.map(JSONText.int))),
                    ], [Answer(ids: [7, 8, 2], isFinished: true)]))
        }
        let report = try job.finish()
        #expect(report.answers == 8 && report.tokens == 27 && report.finished == 7)
        #expect(report.empty == 3 && report.looping == 0)
        // "Yes." and the tokens 7 8 2; empty ones are counted as such.
        #expect(report.duplicates == 2)
        #expect(report.text.contains("median 3, 95% up to 6, longest 6"))
        #expect(report.text.contains("finished      87.5%; cut 12.5%"))
    }
}

struct RecordKeyTests {
    @Test func isReadAsItIsWritten() throws {
        var generator = SplitMix64(seed: 3)
        for _ in 0..<100 {
            let digest = Digest(high: generator.next() >> 60, low: generator.next())
            let key = RecordKey(digest, copy: Int.random(in: 1...3, using: &generator))
            #expect(RecordKey("\(key)") == key)
        }
        let hex = String(repeating: "0a", count: 16)
        for text in [
            "", "1", hex + "-", hex + "-1", hex + "-02", hex + "-2-2", hex.uppercased(), "+" + hex.dropFirst(),
        ] {
            #expect(RecordKey(text) == nil, "\(text)")
        }
    }

    @Test func givesEachAnswerASeedOfItsOwn() throws {
        let options = try SamplingOptions.parse(["--seed", "5"])
        let keys = [RecordKey(Digest(of: "a")), RecordKey(Digest(of: "a"), copy: 2), RecordKey(Digest(of: "b"))]
        let seeds = keys.flatMap { key in (0..<4).map { options.seed(of: key, turn: $0) } }
        #expect(Set(seeds).count == 12)
        #expect(seeds[0] == options.seed(of: keys[0], turn: 0))
        #expect(seeds[0] != SamplingOptions().seed(of: keys[0], turn: 0))
    }
}

struct LoopRuleTests {
    /// The rule as it is stated.
    private func isLooping(_ tokens: [Int32]) -> Bool {
        guard tokens.count >= LoopRule.mostTokensWithout else { return false }
        for length in LoopRule.mostTokensWithout...tokens.count {
            let tail = Array(tokens.suffix(length))
            for period in 1...length where 4 * period <= length {
                if (period..<length).allSatisfy({ tail[$0] == tail[$0 - period] }) { return true }
            }
        }
        return false
    }

    @Test func findsWhatTheRuleSays() {
        var generator = SplitMix64(seed: 11)
        var found = [false: 0, true: 0]
        for _ in 0..<400 {
            let unit = (0..<Int.random(in: 1...20, using: &generator)).map { _ in
                Int32.random(in: 0...2, using: &generator)
            }
            let head = (0..<Int.random(in: 0...30, using: &generator)).map { _ in
                Int32.random(in: 0...3, using: &generator)
            }
            var tokens = head
            for _ in 0..<Int.random(in: 1...8, using: &generator) { tokens += unit }
            tokens += unit.prefix(Int.random(in: 0...unit.count, using: &generator))
            if Bool.random(using: &generator) { tokens.append(Int32.random(in: 0...3, using: &generator)) }
            let wanted = isLooping(tokens)
            #expect(LoopRule.isLooping(tokens: tokens) == wanted)
            found[wanted, default: 0] += 1
        }
        #expect(found.values.allSatisfy { $0 > 40 })
    }

    @Test(arguments: [
        (String(repeating: "I don't know. ", count: 20), true), (String(repeating: "ha ", count: 30), false),
        ("Well. " + String(repeating: "no", count: 100) + "\n\n", true),
        ((1...60).map { "\($0). an item\n" }.joined(), false), ("", false),
        (String(repeating: "-", count: 300) + " end", false),
    ])
    func tellsTextsThatLoop(text: String, isLooping: Bool) {
        #expect(LoopRule.isLooping(text: Array(text.utf8)) == isLooping)
    }

    @Test func takesLinearTime() {
        // Almost periodic at every length.
        let tokens = (0..<2_000_000).map { Int32($0.trailingZeroBitCount) }
        #expect(!LoopRule.isLooping(tokens: tokens + [99]))
    }
}
