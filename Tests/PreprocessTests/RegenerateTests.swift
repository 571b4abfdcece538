import Foundation
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Preprocess

/// `Preprocess regenerate` beside servers that answer, fail, die and come back.
@Suite(.serialized) struct RegenerateTests {
    let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    /// A server's answer to a request of the chat endpoint.
    static func reply(_ content: String, finish: String = "stop", tokens: Int = 3, more: String = "")
        -> LocalServer.Reply
    {
        .json(
            #"{"choices": [{"message": {"role": "assistant", "content": \#(JSONText.quoted(content))\#(more)}, "finish_reason": "\#(finish)"}], "usage": {"completion_tokens": \#(tokens)}}"#
        )
    }

    /// The text of the last question.
    private static func question(_ request: LocalServer.Request) throws -> String {
        let root = try JSONFile(contents: Array(request.body.utf8), path: "request").root
        return try #require(root.required("messages").asArray().last).string("content")
    }

    static func server(
        port: UInt16 = 0, _ answer: @escaping @Sendable (String) -> LocalServer.Reply = { reply("re: \($0)") }
    ) throws -> LocalServer {
        try LocalServer(port: port) { request in
            guard request.path == "/v1/chat/completions" else { return .json(#"{"data": [{"id": "tiny"}]}"#) }
            return (try? answer(question(request))) ?? .json("{}", status: 400)
        }
    }

    func questions(_ count: Int) throws -> String {
        try scratch.write(
            "q.jsonl",
            (0..<count).map { "{\"id\": \"r\($0)\", \"messages\": [{\"role\": \"user\", \"content\": \"q\($0)\"}]}\n" }
                .joined())
    }

    func words(_ servers: [LocalServer], _ data: String, _ more: [String]) -> [String] {
        ["--train-data-path", data, "--output", scratch.file("out.jsonl"), "--server"] + servers.map(\.url) + more
    }

    /// Runs to the end within this process, with short pauses.
    @discardableResult
    private func run(
        _ servers: [LocalServer], _ data: String, _ more: String..., retries: Int = 2, patience: Duration = .seconds(20)
    ) throws -> RegenerationReport {
        let options = try RegenerateOptions.parse(words(servers, data, more))
        var limits = ServerPool.Limits()
        (limits.concurrency, limits.retries, limits.patience) = (options.concurrency, retries, patience)
        (limits.pause, limits.longestPause) = (.milliseconds(5), .milliseconds(100))
        let pool = ServerPool(options.server, limits)
        let settings = ChatRequest.Settings(
            model: "tiny", sampling: options.sampling, reasoning: options.reasoning,
            templateVariables: try options.templateVariables())
        let job = try RegenerationJob(options.output, of: [data], settings: options.settings(model: "tiny"))
        return try Regeneration(
            dataPaths: [data], turns: options.turns, roles: try RoleNames(options.roleMap), largestRecord: 1 << 20,
            threads: options.concurrency
        ) {
            RecordAnswering(pool, settings, token: nil, timeout: 20)
        }.run(job)
    }

    func lines(_ name: String = "out.jsonl") throws -> [String] {
        String(decoding: try readFile(scratch.file(name)), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    func root(_ line: String) throws -> JSONNode {
        try JSONFile(contents: Array(line.utf8), path: "line").root
    }

    @Test func asksTurnByTurnWithTheHistoryThatTheServerMakes() throws {
        let requests = Mutex<[String]>([])
        let server = try LocalServer { request in
            requests.withLock { $0.append(request.body) }
            return Self.reply("re: \((try? Self.question(request)) ?? "")")
        }
        defer { server.close() }
        let data = try scratch.write(
            "q.jsonl",
            #"{"system": "Be brief.", "conversations": [{"from": "human", "value": "one"}, {"from": "gpt", "value": "old 1"}, {"from": "human", "value": "two"}, {"from": "gpt", "value": "old 2"}]}"#
                + "\n")
        try run(
            [server], data, "--temperature", "0.25", "--top-k", "7", "--seed", "9", "--repetition-penalty", "1.5",
            "--reasoning", "off", "--chat-template-kwargs", #"{"a": 1}"#)
        let made = try root(lines()[0])
        #expect(
            try made.required("messages").value.elements.map { JSONText($0).compact } == [
                #"{"role":"system","content":"Be brief."}"#, #"{"role":"user","content":"one"}"#,
                #"{"role":"assistant","content":"re: one"}"#, #"{"role":"user","content":"two"}"#,
                #"{"role":"assistant","content":"re: two"}"#,
            ])
        #expect(try made.bool("finished") && made.required("source").int("line") == 1)
        let bodies = try requests.withLock(\.self).map(root)
        #expect(bodies.count == 2)
        #expect(try bodies[1].required("messages").asArray().map { try $0.string("content") }.contains("re: one"))
        for body in bodies {
            #expect(try body.double("temperature") == 0.25 && body.int("top_k") == 7 && body.int("max_tokens") == 1024)
            #expect(try body.double("repeat_penalty") == 1.5 && body.double("repetition_penalty") == 1.5)
            #expect(
                try JSONText(body.required("chat_template_kwargs").value).compact
                    == #"{"a":1,"enable_thinking":false,"thinking":false}"#)
        }
        #expect(try bodies[0].int("seed") != bodies[1].int("seed"))

        // The same with only one answer; what isn't made isn't trained on.
        for (turns, count, weights) in [("last", 5, 1), ("first", 3, 0)] {
            let options = ["--turns", turns, "--force"]
            try run([server], data, options[0], options[1], options[2])
            let messages = try root(lines()[0]).required("messages").asArray()
            #expect(messages.count == count)
            #expect(messages.count { $0.value["weight"]?.int == 0 } == weights)
            #expect(try root(lines()[0]).required("answers").asArray().count == 1)
        }
        let row = try parseRow(lines()[0])
        guard case .conversation(let talk) = row.content else {
            Issue.record("is no conversation")
            return
        }
        #expect(talk.turns.count == 1)
    }

    @Test func aConversationEndsWithAnAnswerThatWasCutOrIsEmpty() throws {
        let server = try Self.server { question in
            question.hasPrefix("cut") ? Self.reply("half", finish: "length", tokens: 9) : Self.reply(" \n")
        }
        defer { server.close() }
        let rows = ["cut", "empty"].map { first in
            #"{"messages": [{"role": "user", "content": "\#(first)"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}"#
        }
        let report = try run([server], try scratch.write("q.jsonl", rows.joined(separator: "\n")))
        #expect(report.answers == 2 && report.finished == 1 && report.empty == 1)
        #expect(try lines().map { try root($0).required("messages").asArray().count } == [2, 2])
        #expect(try root(lines()[0]).bool("finished") == false)
    }

    @Test func thoughtsAreSavedOrStripped() throws {
        let server = try Self.server { question in
            question == "apart"
                ? Self.reply("a", more: #", "reasoning_content": "why""#) : Self.reply("<think>\nwhy\n</think>\n\na")
        }
        defer { server.close() }
        let data = try scratch.write(
            "q.jsonl",
            ["apart", "within"].map { "{\"messages\": [{\"role\": \"user\", \"content\": \"\($0)\"}]}" }.joined(
                separator: "\n"))
        try run([server], data)
        #expect(try lines()[0].contains(#""content":"a","reasoning_content":"why""#))
        #expect(try lines()[1].contains(#"<think>\nwhy\n</think>\n\na"#))
        try run([server], data, "--reasoning", "strip", "--force")
        #expect(try lines().allSatisfy { $0.contains(#""content":"a"}"#) })
    }

    @Test(arguments: [
        (LocalServer.Reply.json("{\"error\": {\"message\": \"too long\"}}", status: 400), 1, "too long"),
        (.json("", status: 422), 1, "status 422"), (.json("", status: 404), 3, "status 404 (after 3 attempts)"),
        (.json("busy", status: 429), 3, "status 429: busy (after 3 attempts)"),
        (.json("", status: 500), 3, "status 500 (after 3 attempts)"), (.json("{]"), 3, "is not JSON"),
        (.json("[]"), 3, "has no 'choices'"),
        (.raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), 3, "doesn't answer"),
        (.json(#"{"choices": [{"message": {"content": 5}, "finish_reason": "stop"}]}"#), 3, "isn't text"),
        (.json(#"{"choices": [{"message": {"content": ""}}], "usage": {"completion_tokens": 0}}"#), 3, "finish_reason"),
        (reply("fine", tokens: .max), 3, "that an answer may have"), (reply("fine", tokens: -1), 3, "that an answer"),
    ])
    func whatIsNoAnswerFailsWithLineAndReason(reply: LocalServer.Reply, attempts: Int, reason: String) throws {
        let asked = Mutex(0)
        let server = try Self.server { question in
            guard question == "q1" else { return Self.reply("fine") }
            asked.withLock { $0 += 1 }
            return reply
        }
        defer { server.close() }
        let report = try run([server], try questions(3), "--concurrency", "1")
        #expect(report.read == 3 && report.written == 2 && report.failed == 1)
        #expect(asked.withLock(\.self) == attempts)
        let failure = try root(lines("out.jsonl.failures.jsonl")[0])
        #expect(try failure.int("line") == 2 && failure.string("reason").contains(reason))
    }

    /// And what a failing server answers later counts.
    @Test func isAskedAgainAfterAPause() throws {
        let asked = Mutex<[String: Int]>([:])
        let server = try Self.server { question in
            let count = asked.withLock { asked in
                asked[question, default: 0] += 1
                return asked[question, default: 0]
            }
            return count == 1
                ? .json("", status: 503) : count == 2 ? .json("", status: 429) : Self.reply("re: \(question)")
        }
        defer { server.close() }
        let report = try run([server], try questions(40))
        #expect(report.written == 40 && report.failed == 0)
        #expect(try lines().enumerated().allSatisfy { $1.contains("\"re: q\($0)\"") }, "in the dataset's order")
    }

    @Test func recordsThatCannotBeReadAreFailuresToo() throws {
        let server = try Self.server()
        defer { server.close() }
        let data = try scratch.write(
            "q.jsonl",
            "{\"messages\": [\n" + #"{"messages": [{"role": "user", "content": "a"}]}"# + "\n"
                + #"{"messages": [{"role": "assistant", "content": "a"}]}"# + "\n"
                + #"{"input_ids": [1], "loss_mask": [1]}"# + "\n")
        let report = try run([server], data)
        #expect(report.read == 4 && report.written == 1 && report.failed == 3)
        #expect(try lines("out.jsonl.failures.jsonl").map { try root($0).int("line") } == [1, 3, 4])
    }

    /// Servers share the work; one that dies gets none, and some again when it is back.
    @Test(.mayNotHang) func aServerMayDieAndComeBack() throws {
        let count = Mutex(0)
        let answeredAgain = Mutex(0)
        // From its 300th answer on the steady one waits until the other is asked again, for a quarter of a minute in all.
        let waits = Mutex(1500)
        let steady = try Self.server { question in
            let number = count.withLock { count in
                count += 1
                return count
            }
            while number > 300, answeredAgain.withLock(\.self) == 0, waits.withLock({ $0 > 0 }) {
                waits.withLock { $0 -= 1 }
                usleep(10_000)
            }
            return Self.reply("re: \(question)")
        }
        defer { steady.close() }
        let first = try Self.server { question in
            count.withLock { $0 += 1 }
            return Self.reply("re: \(question)")
        }
        let again = Mutex<LocalServer?>(nil)
        let port = first.port
        Thread.detachNewThread {
            while count.withLock(\.self) < 100 { usleep(1000) }
            first.close()
            usleep(50_000)
            again.withLock {
                $0 = try? Self.server(port: port) { question in
                    answeredAgain.withLock { $0 += 1 }
                    return Self.reply("re: \(question)")
                }
            }
        }
        let report = try run([first, steady], try questions(600), retries: 5)
        #expect(report.written == 600 && report.failed == 0 && report.duplicates == 0)
        #expect(try lines().enumerated().allSatisfy { $1.contains("\"re: q\($0)\"") })
        again.withLock { $0?.close() }
        #expect(answeredAgain.withLock(\.self) > 0)
    }

    @Test func aRunEndsWhereNoServerIsLeftAndAnotherContinuesIt() throws {
        let count = Mutex(0)
        let server = try Self.server { question in
            count.withLock { $0 += 1 }
            return Self.reply("re: \(question)")
        }
        let data = try questions(300)
        Thread.detachNewThread {
            while count.withLock(\.self) < 60 { usleep(500) }
            server.close()
        }
        #expect(throws: ServersGone.self) { try run([server], data, retries: 50, patience: .milliseconds(200)) }
        let (done, asked) = (try lines().count, count.withLock(\.self))
        #expect(done < 300)
        let other = try Self.server { question in
            count.withLock { $0 += 1 }
            return Self.reply("re: \(question)")
        }
        defer { other.close() }
        let report = try run([other], data)
        #expect(report.written == 300 && report.read == 300)
        #expect(count.withLock(\.self) == asked + 300 - done, "what was written isn't asked again")
        #expect(try lines().enumerated().allSatisfy { $1.contains("\"re: q\($0)\"") })
    }

    /// As a user runs it, ended at any moment: the file is that of a run without interruption.
    @Test(.mayNotHang) func killedAtAnyMomentItGoesOn() throws {
        let server = try Self.server { question in
            usleep(1000)
            return question.hasSuffix("7") ? .json("no", status: 400) : Self.reply("re: \(question)")
        }
        defer { server.close() }
        let data = try questions(400)
        var generator = SplitMix64(seed: 5)
        let arguments = ["regenerate"] + words([server], data, ["--concurrency", "4"])
        for round in 0..<8 {
            let program = try ProgramRun("Preprocess", arguments)
            usleep(UInt32.random(in: 20_000...150_000, using: &generator))
            program.signal(round.isMultiple(of: 3) ? SIGTERM : SIGKILL)
            _ = try program.finish()
        }
        let end = try ProgramRun("Preprocess", arguments).finish()
        #expect(end.code == 0 && end.output.contains("400 read: 360 written, 40 failed"), "\(end)")
        let made = try lines()
        #expect(made.count == 360)
        #expect(try Set(made.map { try root($0).string("id") }).count == 360)
        let numbers = try made.map { try Int(root($0).string("id").dropFirst()) ?? -1 }
        #expect(numbers == numbers.sorted())
        let again = try ProgramRun("Preprocess", arguments).finish()
        #expect(again.code == 0)
        #expect(try lines() == made)
    }

    /// A server that loads its model says 503, and before that nothing.
    @Test(.mayNotHang) func aServerThatStartsIsWaitedFor() throws {
        let asked = Atomic<Int>(0)
        let server = try LocalServer { _ in
            asked.add(1, ordering: .relaxed).newValue < 3
                ? .json(#"{"error": "Loading model"}"#, status: 503) : .json(#"{"data": [{"id": "tiny"}]}"#)
        }
        defer { server.close() }
        var limits = ServerPool.Limits()
        (limits.pause, limits.patience) = (.milliseconds(5), .seconds(20))
        #expect(try RegenerateCommand.servedModel(ServerPool([server.url], limits), nil) == "tiny")
        #expect(asked.load(ordering: .relaxed) == 3)
        limits.patience = .milliseconds(20)
        asked.store(-1_000_000, ordering: .relaxed)
        #expect(throws: HTTPError.self) { try RegenerateCommand.servedModel(ServerPool([server.url], limits), nil) }
    }

    @Test func whatIsWrongForAllIsSaidAtOnce() throws {
        let server = try LocalServer { _ in .json("{\"error\": \"no such key\"}", status: 401) }
        defer { server.close() }
        let data = try questions(3)
        let run = try ProgramRun("Preprocess", ["regenerate"] + words([server], data, [])).finish()
        #expect(run.code == 1 && run.errors.contains("no such key"))
        let named = try ProgramRun(
            "Preprocess", ["regenerate"] + words([server], data, ["--served-model-name", "x"])
        ).finish()
        #expect(named.code == 1 && named.errors.contains("no such key"))
        #expect(throws: OptionsError.self) {
            try RegenerateOptions.parse(words([server], data, ["--chat-template-kwargs", "[]"]))
        }
    }
}
