import Shared

/// `Preprocess regenerate`: questions in, a server's answers out.
struct RegenerateOptions: Options {
    static let summary =
        "Has a server that runs the target answer a dataset, so that a draft learns from the target's own words. Killed at "
        + "any moment and run again, it continues."

    @Option(
        "OpenAI-compatible servers, as llama-server, vLLM or SGLang, that all serve the same model. A key that they want is "
            + "in the environment variable OPENAI_API_KEY.", value: "URL...")
    var server: [String]
    @Option(
        "Records as JSON, in all forms that build reads; what answers they have is replaced.", value: "FILE|DIR...")
    var trainDataPath: [String]
    var output = RegenerationOptions()
    @Option(
        "Which answers are made: all, with the history that they make; the last; or the first, after which nothing follows."
    )
    var turns = PromptTurns.all
    var sampling = SamplingOptions()
    @Option(
        "Thoughts that the server tells apart are saved as reasoning_content, stripped, or switched off in its template."
    )
    var reasoning = AnswerReasoning.save
    @Option("Variables for the server's template as JSON, as '{\"enable_thinking\": true}'.", value: "JSON")
    var chatTemplateKwargs: String?
    @Option("Name of the model, where the servers have several (default: the first that they list).", value: "NAME")
    var servedModelName: String?
    @Option("Requests that each server is given at once.", in: 1...1024) var concurrency = 8
    @Option(
        "How often a request is repeated that fails with status 408, 429 or 5xx, in time or with half an answer.",
        in: 0...100)
    var maxRetries = 5
    @Option("Seconds until an answer must be whole.", in: 1...86_400) var requestTimeout = 600
    @Option("Seconds that are waited for servers while none can be reached.", in: 0...86_400) var serverTimeout = 600
    @Option("Roles of the data by other names, as of build.", value: "NAME=ROLE...") var roleMap: [String] = []
    @Option("The largest record, in MiB; a larger one fails.", value: "MIB", in: BuildSettings.recordSizes)
    var maxRecordSize = 5
    @Flag("Write the final report as one JSON object.") var json

    func validate() throws(OptionsError) {
        _ = try RoleNames(roleMap)
        _ = try templateVariables()
        try output.validate()
        try sampling.validate()
        if trainDataPath.contains("-") {
            throw .rule("--train-data-path: give a file, so that a later run can continue")
        }
        let most = 4096
        if server.count * concurrency > most {
            throw .rule(
                "--concurrency \(concurrency) for \(server.count) servers is more than \(most) requests at once")
        }
    }

    func templateVariables() throws(OptionsError) -> [(String, JSONText)] {
        guard let text = chatTemplateKwargs else { return [] }
        let parser = JSONParser()
        guard let value = try? parser.parse(text.utf8), case .object(let members) = JSONText(value) else {
            throw .rule("--chat-template-kwargs is '\(text)', should be a JSON object")
        }
        return members
    }

    /// What answers depend on.
    func settings(model: String) -> [OptionSetting] {
        let own = given.filter { ["--turns", "--reasoning", "--chat-template-kwargs", "--role-map"].contains($0.name) }
        return sampling.given + own + [OptionSetting(name: "--served-model-name", values: [model])]
    }
}

enum RegenerateCommand {
    static let command = Command("regenerate", RegenerateOptions.self, body: run)

    @Sendable private static func run(_ options: RegenerateOptions) throws {
        Interrupt.install()
        let token = HTTPClient.openAIKey
        var limits = ServerPool.Limits()
        limits.concurrency = options.concurrency
        limits.retries = options.maxRetries
        limits.patience = .seconds(options.serverTimeout)
        let pool = ServerPool(options.server, limits)
        let files = StoreLocation.expand(options.trainDataPath)
        let statuses = try files.map(FileStatus.init(of:))
        let model = try options.servedModelName ?? servedModel(pool, token)
        let settings = ChatRequest.Settings(
            model: model, sampling: options.sampling, reasoning: options.reasoning,
            templateVariables: try options.templateVariables())
        let job = try RegenerationJob(
            options.output, of: options.trainDataPath, settings: options.settings(model: model))
        let before = job.written + job.failed + job.leftOut
        if before > 0 { Log.line("\(options.output.output): continuing after \(before) records") }
        let regeneration = Regeneration(
            dataPaths: files, turns: options.turns, roles: try RoleNames(options.roleMap),
            largestRecord: options.maxRecordSize << 20, threads: options.concurrency * options.server.count
        ) { [timeout = options.requestTimeout] in
            RecordAnswering(pool, settings, token: token, timeout: timeout)
        }
        let start = ContinuousClock.now
        let progress = Progress("answering", total: Double(statuses.map(\.size).reduce(0, +)) / 1e6, unit: "MB")
        defer { progress.finish() }
        let report = try regeneration.run(job) { bytesRead in
            let rate = Double(job.newTokens) / max((ContinuousClock.now - start).seconds, 1e-9)
            progress.update(
                Double(bytesRead) / 1e6,
                note: "\(job.written) written, \(job.failed) failed, \(shortNumber(rate)) tokens/s")
        }
        progress.finish()
        print(options.json ? report.json.compact : "wrote \(options.output.output)\n\(report.text)")
    }

    /// The model that the first server to answer lists first; servers that are starting are waited for.
    ///
    /// - Throws: The last server's `HTTPError` if none answers, at once where waiting wouldn't help; `JSONError` for what
    ///   is no list; `Interrupted`.
    static func servedModel(_ pool: ServerPool, _ token: String?) throws -> String {
        let start = ContinuousClock.now
        for attempt in 1... {
            var problems: [any Error] = []
            for url in pool.urls {
                do {
                    return try HTTPClient(url, token: token, limits: .init(answering: 30)).firstModel()
                } catch let interrupted as Interrupted {
                    throw interrupted
                } catch {
                    problems.append(error)
                }
            }
            guard let problem = problems.last else { break }
            let waited = ContinuousClock.now - start
            guard waited < pool.limits.patience,
                problems.contains(where: { ($0 as? HTTPError)?.isWorthRepeating == true })
            else { throw problem }
            if attempt == 1 {
                Log.line("\(problem); waiting up to \(Int(pool.limits.patience.seconds)) s for a server")
            }
            try Interrupt.wait(min(pool.limits.pause(after: attempt), pool.limits.patience - waited))
        }
        throw OptionsError.missingOption("--server")
    }
}
