import Shared

/// `Trainer evaluate --server`: prompts to a running server.
enum EvaluateServer {
    struct Options: Shared.Options {
        static let summary =
            "Measures a running server with a draft: llama.cpp's, vLLM's, or another of OpenAI's protocol."

        @Option(
            "The server, as http://localhost:8080; its key, if it asks for one, is in OPENAI_API_KEY.", value: "URL")
        var server: String
        @Option(
            "Prompts: lines of JSON with turns and a category (MT-bench, SPEED-Bench), conversations, messages, prompt, or "
                + "prompt_ids.", value: "FILE")
        var prompts: String
        @Option("The same target in a server without a draft, to compare texts and speed.", value: "URL")
        var plainServer: String?
        @Option(
            "What Trainer evaluate --json printed of the same prompts, or a draft's acceptance.json, to compare with.",
            value: "FILE")
        var beside: String?
        @Option("By how much accepted tokens a verification may differ from those; any if left out.", in: 0...10)
        var tolerance: Float?
        @Option("Prompts to ask, from the file's beginning; all if left out.", in: 1...) var maxSamples: Int?
        @Option("Tokens to decode for each turn.", in: 1...1 << 20) var maxNewTokens: Int = 96
        @Option("Seconds to wait for an answer.", in: 1...86_400) var timeout: Int = 600
        @Flag("Print the report as one JSON object.") var json
        @Option("Where to write a page with everything.", value: "FILE") var html: String?

        func validate() throws(OptionsError) {
            if tolerance != nil, beside == nil { throw .rule("--tolerance has no effect without --beside") }
        }
    }

    static let command = Command("evaluate", Options.self) { options in
        let all = try PromptFile.read(options.prompts)
        let own = try options.beside.map(ServerReport.OwnReport.init)
        let prompts = Array(all.prefix(options.maxSamples ?? all.count))
        try own?.expect(prompts, newTokens: options.maxNewTokens)
        let token = HTTPClient.openAIKey
        let connect = { url in
            try InferenceServer(url, token: token, timeout: options.timeout, newTokens: options.maxNewTokens)
        }
        let evaluation = ServerEvaluation(
            server: try connect(options.server), plainServer: try options.plainServer.map(connect))
        let progress = Progress("asking \(options.server)", total: Double(prompts.count), unit: "prompts")
        let turns = try evaluation.run(prompts) { progress.update(Double($0)) }
        progress.finish()
        let report = ServerReport(
            server: evaluation.server.url, engine: evaluation.server.name, prompts: prompts.count, turns: turns,
            own: own)
        print(options.json ? report.json.compact : report.text)
        if let path = options.html {
            try writeFile(path, ServerPage(report: report).html.utf8)
            Log.line("wrote \(path)")
        }
        guard let tolerance = options.tolerance else { return }
        guard let difference = report.difference else {
            throw TrainingError(message: "\(options.server): nothing was drafted, or the server doesn't say")
        }
        guard abs(difference) <= Double(tolerance) else {
            throw TrainingError(
                message: "\(options.server): accepted tokens a verification differ by \(fixed(100 * difference, 1))%, "
                    + "should by at most \(fixed(100 * Double(tolerance), 1))%")
        }
    }
}
