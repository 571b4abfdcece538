import Foundation
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Trainer

/// `Trainer evaluate --server`, with servers that answer as llama.cpp's and vLLM's do.
struct ServerEvaluationTests {
    /// What a server was asked, and what it has drafted so far.
    private final class Emulated: Sendable {
        let asked = Mutex<[LocalServer.Request]>([])
        let isLlamaCpp: Bool
        let hasMetrics: Bool

        init(isLlamaCpp: Bool, hasMetrics: Bool = true) {
            (self.isLlamaCpp, self.hasMetrics) = (isLlamaCpp, hasMetrics)
        }

        /// Each answer has 10 tokens of 5 verifications: 1 first token, 4 accepted, 15 drafted.
        func answer(_ request: LocalServer.Request) -> LocalServer.Reply {
            switch request.path {
            case "/v1/models": return .json(#"{"object": "list", "data": [{"id": "the-model"}]}"#)
            case "/props":
                return isLlamaCpp
                    ? .json(#"{"default_generation_settings": {}}"#) : .json(#"{"detail": "Not Found"}"#, status: 404)
            case "/metrics":
                guard hasMetrics else {
                    return .json(#"{"error": {"message": "start it with --metrics"}}"#, status: 501)
                }
                return .json(metrics(asked.withLock(\.count)))
            default:
                let count = asked.withLock { asked in
                    asked.append(request)
                    return asked.count
                }
                return .json(isLlamaCpp ? llamaCpp(request.path, count) : openAI(request.path, count))
            }
        }

        private func metrics(_ answers: Int) -> String {
            let (prefix, labels) = isLlamaCpp ? ("llamacpp", "") : ("vllm", #"engine="0",model_name="m""#)
            let braces = labels.isEmpty ? "" : "{\(labels)}"
            let comma = labels.isEmpty ? "" : labels + ","
            // Of requests before these ones too.
            let n = 7 + answers
            return """
                # HELP \(prefix):spec_decode_num_drafts_total Number of spec decoding drafts.
                # TYPE \(prefix):spec_decode_num_drafts_total counter
                \(prefix):spec_decode_num_drafts_total\(braces) \(5 * n).0
                \(prefix):spec_decode_num_draft_tokens_total\(braces) \(15 * n)
                \(prefix):spec_decode_num_accepted_tokens_total\(braces) \(4 * n)
                \(prefix):spec_decode_num_accepted_tokens_per_pos_total{\(comma)position="0"} \(3 * n)
                \(prefix):spec_decode_num_accepted_tokens_per_pos_total{\(comma)position="1"} \(n)
                \(prefix):spec_decode_num_accepted_tokens_per_pos_created{\(comma)position="1"} 1.7e+09
                \(prefix):num_requests_running\(braces) 1.0

                """
        }

        private let timings =
            #"{"cache_n": 0, "prompt_n": 200, "predicted_n": 10, "predicted_ms": 500.0, "draft_n": 15, "draft_n_accepted": 4}"#

        private func llamaCpp(_ path: String, _ count: Int) -> String {
            path == "/completion"
                ? #"{"content": "answer \#(count)", "timings": \#(timings)}"#
                : #"{"choices": [{"message": {"role": "assistant", "content": "answer \#(count)"}}], "timings": \#(timings)}"#
        }

        private func openAI(_ path: String, _ count: Int) -> String {
            let usage = #""usage": {"prompt_tokens": 20, "completion_tokens": 10}"#
            return path == "/v1/completions"
                ? #"{"choices": [{"text": "answer \#(count)"}], \#(usage)}"#
                : #"{"choices": [{"message": {"content": "answer \#(count)"}}], \#(usage)}"#
        }
    }

    private static func withServer(_ emulated: Emulated, _ body: (String) throws -> Void) throws {
        let server = try LocalServer { emulated.answer($0) }
        defer { server.close() }
        try body(server.url)
    }

    private static func report(
        _ url: String, _ prompts: String, plain: String? = nil, own: String? = nil
    ) throws -> (json: JSONNode, text: String, page: String) {
        try withTemporaryDirectory { directory in
            try writeFile("\(directory)/prompts.jsonl", prompts.utf8)
            if let own { try writeFile("\(directory)/own.json", own.utf8) }
            let connect = { url in try InferenceServer(url, token: nil, timeout: 20, newTokens: 96) }
            let evaluation = ServerEvaluation(server: try connect(url), plainServer: try plain.map(connect))
            let read = try PromptFile.read("\(directory)/prompts.jsonl")
            let report = ServerReport(
                server: url, engine: evaluation.server.name, prompts: read.count,
                turns: try evaluation.run(read) { _ in },
                own: try own.map { _ in try ServerReport.OwnReport("\(directory)/own.json") })
            let file = try JSONFile(contents: Array(report.json.compact.utf8), path: "report")
            return (file.root, report.text, ServerPage(report: report).html)
        }
    }

    @Test(arguments: [true, false], [true, false])
    func acceptanceIsTheServersOwn(isLlamaCpp: Bool, hasMetrics: Bool) throws {
        let emulated = Emulated(isLlamaCpp: isLlamaCpp, hasMetrics: hasMetrics)
        try Self.withServer(emulated) { url in
            let own = #"{"accepted_per_verification": 0.75, "accepted_at": [0.55, 0.2]}"#
            let (json, text, page) = try Self.report(
                url, #"{"prompt_ids": [1, 2, 3]}"# + "\n" + #"{"prompt_ids": [4]}"#, own: own)
            #expect(try json.int("prompts") == 2 && json.int("turns") == 2 && json.int("tokens") == 20)
            #expect(try json.string("engine") == (isLlamaCpp ? "llama.cpp" : "OpenAI's protocol"))
            if hasMetrics || isLlamaCpp {
                #expect(try json.int("verifications") == 10)
                #expect(try json.double("accepted_per_verification") == 0.8)
                #expect(try json.double("acceptance_length") == 1.8)
                let positions = try json.required("accepted_at").elements.map { try $0.asDouble() }
                #expect(positions == (hasMetrics ? [0.6, 0.2] : []))
                let difference = try json.required("own").double("difference")
                #expect(abs(difference - (0.8 / 0.75 - 1)) < 1e-9)
                #expect(text.contains("differ by 6.7%") && text.contains("0.550 0.200"))
            } else {
                #expect(json["acceptance_length"] == nil)
                #expect(text.contains("the server drafts nothing, or doesn't say"))
                #expect(page.contains("The server doesn't tell positions apart."))
            }
            if isLlamaCpp { #expect(try json.double("tokens_per_second") == 20) }
            let asked = emulated.asked.withLock { $0 }
            #expect(asked.map(\.path) == [String](repeating: isLlamaCpp ? "/completion" : "/v1/completions", count: 2))
            let body = try JSONFile(contents: Array(asked[0].body.utf8), path: "body").root
            #expect(try body.required("prompt").elements.map { try $0.asInt() } == [1, 2, 3])
            #expect(try body.double("temperature") == 0)
            #expect(try body.int(isLlamaCpp ? "n_predict" : "max_tokens") == 96)
        }
    }

    @Test(arguments: [true, false])
    func turnsFollowTheServersAnswers(isLlamaCpp: Bool) throws {
        let emulated = Emulated(isLlamaCpp: isLlamaCpp)
        try Self.withServer(emulated) { url in
            let prompts = """
                {"question_id": 81, "category": "writing", "turns": ["a", "b"]}

                {"category": "math", "turns": ["c"]}
                {"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "d"}, {"from": "gpt", "value": "e"}]}
                {"messages": [{"role": "user", "content": "f"}], "category": "math"}
                {"prompt": "g"}
                """
            let (json, text, page) = try Self.report(url + "/v1", prompts)
            #expect(try json.int("prompts") == 5 && json.int("turns") == 6)
            let messages = try emulated.asked.withLock { $0 }.map { request in
                #expect(request.path == "/v1/chat/completions")
                let file = try JSONFile(contents: Array(request.body.utf8), path: "body")
                return try file.root.required("messages").elements.map {
                    try "\($0.string("role")): \($0.string("content"))"
                }
            }
            #expect(
                messages == [
                    ["user: a"], ["user: a", "assistant: answer 1", "user: b"], ["user: c"], ["system: s", "user: d"],
                    ["user: f"], ["user: g"],
                ])
            let categories = try json.required("by_category").elements.map {
                try "\($0.string("category")) \($0.int("turns"))"
            }
            #expect(categories == ["math 2", "writing 2"])
            let lengths = try json.required("by_prompt_length").elements.map { try $0.string("prompt_tokens") }
            #expect(lengths == [isLlamaCpp ? "128 to 255" : "below 128"])
            #expect(text.contains("math: acceptance length 1.800"))
            expectPage(page, headings: ["Accepted by position", "By tokens of the prompt", "By category"])
            #expect(page.contains("<td>math</td><td>2</td><td>1.800</td>"))
        }
    }

    @Test func textsAreComparedWithThoseOfAServerWithoutADraft() throws {
        let (drafted, plain) = (Emulated(isLlamaCpp: true), Emulated(isLlamaCpp: true))
        try Self.withServer(drafted) { url in
            try Self.withServer(plain) { plainURL in
                // The second server has answered before: its texts are the third and fourth.
                let prompts = #"{"prompt": "a"}"# + "\n" + #"{"prompt": "b"}"#
                let same = try Self.report(url, prompts, plain: plainURL)
                #expect(same.text.contains("same text without the draft yes, for every prompt"))
                #expect(try same.json.double("plain_tokens_per_second") == 20)
                _ = try Self.report(plainURL, #"{"prompt": "x"}"#)
                let other = try Self.report(url, prompts, plain: plainURL)
                #expect(try other.json.required("differing_lines").elements.map { try $0.asInt() } == [1, 2])
                #expect(other.text.contains("line 1 after 7 characters"))
                #expect(same.page.contains("The same with and without the draft."))
                #expect(other.page.contains("Texts that differ with the draft"))
            }
        }
    }

    @Test(arguments: [
        ("", "has no prompts"), ("{}", ":1: should have one of turns"), (#"{"turns": []}"#, ":1: has no turn"),
        (#"{"prompt": "a"}"# + "\n{", ":2"), (#"{"prompt_ids": []}"#, "is empty"),
        (#"{"turns": [3]}"#, "should be a string"), (#"{"turns": ["a"], "category": 3}"#, "category"),
        (#"{"messages": [{"content": "a"}]}"#, "from"),
    ])
    func aPromptFileThatIsNoneIsRefusedWithItsLine(text: String, message: String) throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory)/prompts.jsonl"
            try writeFile(path, text.utf8)
            let error = try #require(#expect(throws: JSONError.self) { try PromptFile.read(path) })
            #expect("\(error)".contains(path) && "\(error)".contains(message), "\(error)")
        }
    }

    @Test(arguments: [
        (#"{"data": []}"#, "lists no model"), ("<html>", "/v1/models"), ("{}", "key 'data' is missing"),
    ])
    func aServerThatIsNoneIsNamed(models: String, message: String) throws {
        let server = try LocalServer { _ in .json(models) }
        defer { server.close() }
        let error = #expect(throws: JSONError.self) {
            try InferenceServer(server.url, token: nil, timeout: 20, newTokens: 8)
        }
        let text = "\(try #require(error))"
        #expect(text.contains(server.url) && text.contains(message))
    }

    @Test func answersWithoutWhatIsNeededNameTheURL() throws {
        for reply in ["{}", #"{"choices": []}"#, #"{"choices": [{"message": {"content": "a"}}]}"#] {
            let server = try LocalServer { request in
                switch request.path {
                case "/v1/models": .json(#"{"data": [{"id": "m"}]}"#)
                case "/props", "/metrics": .json("", status: 404)
                default: .json(reply)
                }
            }
            defer { server.close() }
            let asked = try InferenceServer(server.url, token: nil, timeout: 20, newTokens: 8)
            let error = #expect(throws: JSONError.self) { try asked.answer(messages: [("user", "a")]) }
            #expect("\(try #require(error))".contains("\(server.url)/v1/chat/completions"))
        }
    }

    @Test(arguments: [
        "", "# HELP x", "vllm:spec_decode_num_drafts_total", "vllm:spec_decode_num_drafts_total nan",
        "vllm:spec_decode_num_drafts_total 1e300", "vllm:spec_decode_num_other_total 3",
        #"vllm:spec_decode_num_accepted_tokens_per_pos_total{position="99999"} 3"#,
    ])
    func metricsWithoutCountersAreNone(text: String) { #expect(ServedDrafting(metrics: text) == nil) }

    @Test func theServersOptionsAreThoseOfEvaluate() throws {
        let program = TrainerCommand.program
        #expect(program.run(["evaluate", "--server", "nowhere", "--prompts", "/dev/null"]) == ExitCode.failed)
        #expect(program.run(["evaluate", "--server=http://127.0.0.1:1", "--unknown", "x"]) == ExitCode.usage)
        #expect(program.run(["evaluate", "--help", "--server"]) == ExitCode.done)
        for option in EvaluateServer.command.options where option.isNumeric {
            #expect(option.range != nil, "\(option.name)")
        }
    }

    /// A draft's acceptance.json says of what it is.
    @Test func aReferenceIsComparedWithItsOwnPromptsAlone() throws {
        let reference = AcceptanceReference(
            promptsDigest: AcceptanceReference.digest(ofPrompts: [[1, 2, 3], [4]]), samples: 2, prompts: nil,
            newTokens: 96, draftLength: 2, verifications: 10, acceptedAt: [0.5, 0.25], products: "float32", weights: nil
        )
        try withTemporaryDirectory { directory in
            try writeFile("\(directory)/acceptance.json", reference.json.pretty.utf8)
            let own = try ServerReport.OwnReport("\(directory)/acceptance.json")
            #expect(own.acceptedPerVerification == 0.75 && own.acceptedAt == [0.5, 0.25])
            func prompts(_ lines: String) throws -> [ServerPrompt] {
                try writeFile("\(directory)/prompts.jsonl", lines.utf8)
                return try PromptFile.read("\(directory)/prompts.jsonl")
            }
            let same = #"{"prompt_ids": [1, 2, 3]}"# + "\n" + #"{"prompt_ids": [4]}"#
            try own.expect(prompts(same), newTokens: 96)
            #expect(throws: OptionsError.self) { try own.expect(prompts(same), newTokens: 64) }
            for other in [
                #"{"prompt_ids": [1, 2, 3]}"#, same + "\n" + #"{"prompt": "and more"}"#, #"{"turns": ["1"]}"#,
            ] {
                #expect(throws: OptionsError.self) { try own.expect(prompts(other), newTokens: 96) }
            }
        }
    }
}
