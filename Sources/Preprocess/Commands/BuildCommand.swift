import Shared

/// `Preprocess build`: a dataset in, its store out.
enum BuildCommand {
    static let command = Command("build", BuildOptions.self, body: run)

    @Sendable private static func run(_ options: BuildOptions) throws {
        Interrupt.install()
        try options.resolveFiles()
        // Buffers that only a very large record needs; those of ordinary batches are smaller and used again.
        Machine.returnFreedMemory(from: 4 << 20)
        let (format, target) = try options.settings.template.load(options.targetModelPath)
        let draftVocabSizes = try options.draftVocabSizes(target)
        let manifest = try options.manifest(target, format)
        let path = StoreLocation.path(cacheDir: options.cache.cacheDir, dataPaths: options.trainDataPath)
        let cache = try CacheDirectory(making: options.cache.cacheDir)
        let exchange = try LaunchedRank.current().map {
            RankExchange($0, store: path, request: try RankRequest(manifest))
        }
        if let exchange, exchange.launched.rank > 0 { return try help(exchange, target, format, options) }
        // What needs no build needs no lock: a cache that others keep, and this user only reads, will do.
        if exchange == nil, !options.force, try reasonToBuild(path, manifest, options.trainDataPath) == nil,
            try missingMappings(path, options).isEmpty
        {
            return try show(BuildReport(isUpToDate: true), of: path, draftVocabSizes, options)
        }
        let lock = try BuildLock(path) { Log.line("waiting for another build of \(path)") }
        defer { withExtendedLifetime(lock) {} }
        let report: BuildReport
        do {
            try cache.removeLeftovers(StoreLocation.key(options.trainDataPath))
            report = try buildIfNeeded(
                path, manifest, target, format, draftVocabSizes, options, in: cache, with: exchange)
        } catch {
            try? exchange?.end(failure: "\(error)")
            if !fileExists(path), !fileExists("\(path).partial") { try lock.removeFile() }
            throw error
        }
        try show(report, of: path, draftVocabSizes, options)
    }

    /// Builds the store unless it is there or another is the same.
    private static func buildIfNeeded(
        _ path: String, _ manifest: StoreManifest, _ target: TargetText, _ format: ChatFormat,
        _ draftVocabSizes: [Int], _ options: BuildOptions, in cache: CacheDirectory, with exchange: RankExchange?
    ) throws -> BuildReport {
        let reason = options.force ? "" : try reasonToBuild(path, manifest, options.trainDataPath)
        if let reason, !reason.isEmpty { Log.line("building again: \(reason)") }
        let isThere = try reason == nil || (!options.force && linked(options, manifest, in: cache))
        if isThere { try exchange?.begin(skip: nil) }
        let report =
            try isThere
            ? BuildReport(isUpToDate: true)
            : build(path, manifest, target, format, draftVocabSizes, options, with: exchange)
        try exchange?.end()
        if isThere { try addMappings(path, options) }
        return report
    }

    /// The draft vocabularies that were asked for by their sizes and that the store hasn't.
    private static func missingMappings(_ path: String, _ options: BuildOptions) throws -> Set<Int> {
        Set(options.settings.draftVocabSize).subtracting(try SampleStore(reading: path).manifest.draftVocabSizes)
    }

    /// Gives a store that is up to date the draft vocabularies that it hasn't: nothing is tokenized for it.
    private static func addMappings(_ path: String, _ options: BuildOptions) throws {
        let missing = try missingMappings(path, options)
        guard !missing.isEmpty else { return }
        let store = try SampleStore(reading: path)
        try StoreSeal.replaceMappings(of: store, missing.union(store.manifest.draftVocabSizes).sorted())
        Log.line("added draft vocabularies of \(missing.sorted().map(String.init).joined(separator: ", ")) tokens")
    }

    /// Sizes of the draft vocabularies that a store gets: those asked for, and those of the store that it replaces.
    private static func mappings(
        _ asked: [Int], replacing path: String, _ manifest: StoreManifest, _ options: BuildOptions
    ) -> [Int] {
        let old = options.force ? nil : try? SampleStore(reading: path).manifest
        guard let old, old.vocabSize == manifest.vocabSize else { return asked }
        let smallest = Set(manifest.specialTokens.map(\.id)).count
        return Set(asked).union(old.draftVocabSizes.filter { $0 >= smallest }).sorted()
    }

    private static func show(
        _ report: BuildReport, of path: String, _ draftVocabSizes: [Int], _ options: BuildOptions
    ) throws {
        var report = report
        try report.add(SampleStore(reading: path), draftVocabSizes: draftVocabSizes)
        print(options.json ? report.json.compact : report.text)
    }

    /// Why there must be a build: what changed, or an empty text if there is no store yet; nil if it is up to date.
    private static func reasonToBuild(_ path: String, _ wanted: StoreManifest, _ data: [String]) throws -> String? {
        guard fileExists(path) else { return "" }
        let old: StoreManifest
        do {
            old = try SampleStore(reading: path).manifest
        } catch let error as StoreFormatError where error.isNewer {
            throw StoreError(
                path,
                "is a store of format \(error.format), which a newer version made; use another --cache-dir, or --force")
        } catch {
            return "\(error)"
        }
        let comparison = try StoreLocation.check(old, dataPaths: data)
        if let moved = comparison.moved { StoreLink.remember(moved, of: path) }
        let changes = old.changes(to: wanted) + [comparison.change].compactMap(\.self)
        return changes.isEmpty ? nil : changes.joined(separator: "; ")
    }

    /// Uses another dataset's store, if it was built from the same contents in the same way.
    private static func linked(
        _ options: BuildOptions, _ manifest: StoreManifest, in cache: CacheDirectory
    ) throws -> Bool {
        let key = StoreLocation.key(options.trainDataPath)
        guard let twin = try StoreLocation.twin(of: manifest, in: cache, except: cache.path(.store, key)),
            try StoreLink.make(key, in: cache, to: twin.store, files: twin.files)
        else { return false }
        Log.line("linked to \(twin.store), which was built from the same contents")
        return true
    }

    /// The store that is there, if the dataset has only grown since and nothing else has changed.
    private static func grown(_ path: String, _ manifest: StoreManifest, _ data: [String]) throws -> SampleStore? {
        guard fileExists(path), let old = try? SampleStore(reading: path), old.manifest.changes(to: manifest).isEmpty,
            try StoreLocation.isGrown(since: old.manifest, dataPaths: data)
        else { return nil }
        return old
    }

    /// Makes a part of the samples, for rank 0 to write.
    private static func help(
        _ exchange: RankExchange, _ target: TargetText, _ format: ChatFormat, _ options: BuildOptions
    ) throws {
        Log.setPrefix("[rank \(exchange.launched.rank)] ")
        Log.setQuiet(true)
        guard let skip = try exchange.plan() else { return }
        try pipeline(target, format, options).runShare(of: exchange, skip: skip)
    }

    private static func pipeline(
        _ target: TargetText, _ format: ChatFormat, _ options: BuildOptions
    ) throws -> Pipeline {
        let settings = SampleBuilder.Settings(
            options.settings, ignoredTokens: try options.ignoredTokens(target), vocabSize: target.vocabSize)
        let fit = TemplateFit(format)
        var pipeline = Pipeline(
            dataPaths: StoreLocation.expand(options.trainDataPath), isPreformatted: options.settings.isPreformatted,
            needsAnswer: options.settings.minLossTokens > 0, roles: try RoleNames(options.settings.roleMap),
            threads: options.numThreads ?? Machine.availableCPUs
        ) {
            let builder: SampleBuilder
            do {
                builder = try SampleBuilder(target.tokenizer, format, fit, settings)
            } catch {
                return { _ throws(Rejection) in throw Rejection(.template, "\(error)") }
            }
            return { row throws(Rejection) in
                switch row.content {
                case .conversation(let conversation): try builder.samples(from: conversation)
                case .preformatted(let text): try builder.samples(fromPreformatted: text)
                case .tokens(let sample): try builder.samples(fromTokens: sample)
                }
            }
        }
        pipeline.acceptsAnyShare = options.settings.anySupervisedShare
        pipeline.largestRecord = options.settings.maxRecordSize << 20
        return pipeline
    }

    private static func build(
        _ path: String, _ manifest: StoreManifest, _ target: TargetText, _ format: ChatFormat,
        _ draftVocabSizes: [Int], _ options: BuildOptions, with exchange: RankExchange?
    ) throws -> BuildReport {
        try check(format, target, options)
        let pipeline = try pipeline(target, format, options)
        let mappings = mappings(draftVocabSizes, replacing: path, manifest, options)
        let writer = try SampleStoreWriter(path: path, manifest: manifest, isFresh: options.force)
        if writer.recordsDone > 0 {
            Log.line("continuing an unfinished build after record \(writer.recordsDone)")
        } else if !options.force, let old = try grown(path, manifest, options.trainDataPath) {
            try writer.takeOver(old)
            Log.line("the dataset has grown: continuing after record \(writer.recordsDone)")
        }
        try exchange?.begin(skip: writer.recordsDone)
        let (before, start) = (writer.counts.tokens, ContinuousClock.now)
        let size = manifest.files.map(\.status.size).reduce(0, +)
        let progress = Progress("reading", total: Double(size) / 1e6, unit: "MB")
        defer { progress.finish() }
        let finished = try pipeline.run(into: writer, draftVocabSizes: mappings, with: exchange) { bytesRead, counts in
            let seconds = (ContinuousClock.now - start).seconds
            let rate = Double(counts.tokens - before) / max(seconds, 1e-9)
            progress.update(
                Double(bytesRead) / 1e6,
                note: "\(shortNumber(Double(counts.samples))) samples, \(shortNumber(rate)) tokens/s")
        }
        return BuildReport(
            isUpToDate: false, seconds: (ContinuousClock.now - start).seconds,
            newTokens: finished.counts.tokens - before)
    }

    /// Proves the chat template before anything is built by it.
    ///
    /// - Throws: `TemplateError` with what failed, unless the user wants to build all the same.
    private static func check(_ format: ChatFormat, _ target: TargetText, _ options: BuildOptions) throws {
        if options.settings.isPreformatted {
            guard format.entry != nil else {
                throw OptionsError.rule(
                    "--is-preformatted needs a --chat-template whose headers mark the turns: one of "
                        + "\(TemplateRegistry.names.joined(separator: ", ")), or a JSON file")
            }
            return
        }
        let proof = TemplateProof(
            format, TemplateFit(format), target,
            TemplateFit.Mode(
                isRowPerTurn: options.settings.rowPerTurn, onlyLastTurn: options.settings.trainOnlyLastTurn))
        for finding in proof.findings where finding.verdict == .warning {
            Log.line("chat template: \(finding.what): \(finding.detail)")
        }
        guard let failure = proof.failures.first else { return }
        let message = "chat template: \(failure.what): \(failure.detail)"
        guard options.settings.ignoreTemplateCheck else {
            throw TemplateError("\(message); see Preprocess check-template, or build with --ignore-template-check")
        }
        for failure in proof.failures { Log.line("chat template: FAILED, ignored: \(failure.what): \(failure.detail)") }
    }
}
