import Shared

/// `Preprocess build`: a dataset in, its store out.
enum BuildCommand {
    static let command = Command("build", BuildOptions.self, body: run)

    @Sendable private static func run(_ options: BuildOptions) throws {
        Interrupt.install()
        let (format, target) = try options.format.load()
        let draftVocabSize = try options.draftVocabSize(vocabSize: target.vocabSize)
        let manifest = try options.manifest(target, format)
        let path = StoreLocation.path(cacheDir: options.cacheDir, dataPaths: options.trainDataPath)
        try makeDirectory(options.cacheDir)
        let lock = try BuildLock(path) { Log.line("waiting for another build of \(path)") }
        defer { withExtendedLifetime(lock) {} }

        let reason = options.force ? "" : try reasonToBuild(path, manifest, options.trainDataPath)
        if let reason, !reason.isEmpty { Log.line("building again: \(reason)") }
        var report =
            try reason == nil
            ? BuildReport(isUpToDate: true) : build(path, manifest, target, format, options)
        try report.add(SampleStore(reading: path), draftVocabSize: draftVocabSize)
        print(options.json ? report.json.compact : report.text)
    }

    /// Why there must be a build: what changed, or nothing said if there is no store yet; nil if it is up to date.
    private static func reasonToBuild(_ path: String, _ wanted: StoreManifest, _ data: [String]) throws -> String? {
        guard fileExists(path) else { return "" }
        let old: StoreManifest
        do {
            old = try SampleStore(reading: path).manifest
        } catch {
            return "\(error)"
        }
        let changes =
            old.changes(to: wanted) + [try StoreLocation.change(since: old, dataPaths: data)].compactMap(\.self)
        return changes.isEmpty ? nil : changes.joined(separator: "; ")
    }

    private static func build(
        _ path: String, _ manifest: StoreManifest, _ target: TargetText, _ format: ChatFormat,
        _ options: BuildOptions
    ) throws -> BuildReport {
        try check(format, target, options)
        let settings = SampleBuilder.Settings(
            maxLength: options.maxLength, trainsOnlyLastTurn: options.trainOnlyLastTurn,
            isRowPerTurn: options.rowPerTurn, minLossTokens: options.minLossTokens)
        var pipeline = Pipeline(
            dataPaths: options.trainDataPath, isPreformatted: options.isPreformatted,
            needsAnswer: options.minLossTokens > 0,
            threads: options.numThreads ?? Machine.availableCPUs
        ) {
            let renderer: any ConversationRenderer
            do {
                renderer = try format.makeRenderer()
            } catch {
                return { _ throws(Rejection) in throw Rejection(.template, "\(error)") }
            }
            let builder = SampleBuilder(target.tokenizer, renderer, entry: format.entry, settings)
            return { row throws(Rejection) in
                switch row.content {
                case .conversation(let conversation): try builder.samples(from: conversation)
                case .preformatted(let text): MadeRow(samples: [try builder.sample(fromPreformatted: text)])
                }
            }
        }
        let writer = try SampleStoreWriter(path: path, manifest: manifest, isFresh: options.force)
        let (before, start) = (writer.counts.tokens, ContinuousClock.now)
        pipeline.takesAnyShare = options.ignoreTemplateCheck
        if writer.recordsDone > 0 { Log.line("going on behind record \(writer.recordsDone) of an unfinished build") }
        let size = manifest.files.map(\.status.size).reduce(0, +)
        let progress = Progress("reading", total: Double(size) / 1e6, unit: "MB")
        defer { progress.finish() }
        let finished = try pipeline.run(into: writer) { bytesRead, counts in
            let seconds = (ContinuousClock.now - start).seconds
            let rate = Double(counts.tokens - before) / max(seconds, 1e-9)
            progress.update(
                Double(bytesRead) / 1e6,
                note: "\(shortNumber(Double(counts.kept))) samples, \(shortNumber(rate)) tokens/s")
        }
        return BuildReport(
            isUpToDate: false, seconds: (ContinuousClock.now - start).seconds,
            newTokens: finished.counts.tokens - before)
    }

    /// Proves the chat template before anything is built by it.
    ///
    /// - Throws: `TemplateError` with what failed, unless the user wants to build all the same.
    private static func check(_ format: ChatFormat, _ target: TargetText, _ options: BuildOptions) throws {
        if options.isPreformatted {
            guard format.entry != nil else {
                throw OptionsError.rule(
                    "--is-preformatted needs a --chat-template whose headers mark the turns: one of "
                        + "\(TemplateRegistry.names.joined(separator: ", ")), or a JSON file")
            }
            return
        }
        let proof = TemplateProof(format, target, isRowPerTurn: options.rowPerTurn)
        for finding in proof.findings where finding.verdict == .warning {
            Log.line("chat template: \(finding.what): \(finding.detail)")
        }
        guard let failure = proof.failures.first else { return }
        let message = "chat template: \(failure.what): \(failure.detail)"
        guard options.ignoreTemplateCheck else {
            throw TemplateError("\(message); see Preprocess check-template, or build with --ignore-template-check")
        }
        for failure in proof.failures { Log.line("chat template: FAILED, ignored: \(failure.what): \(failure.detail)") }
    }
}
