import Shared

/// One build of a store: what was asked for, and what that means for this target, this dataset and this cache.
struct BuildSession {
    /// What became of it.
    struct Outcome {
        let isUpToDate: Bool
        var seconds = 0.0
        /// Tokens of the samples that were made in this run.
        var newTokens = 0
    }

    private let options: BuildOptions
    private let target: TargetText
    private let format: ChatFormat
    private let cache: CacheDirectory
    /// Where the store is, or will be.
    let path: String
    /// The store's manifest, without its counts.
    let manifest: StoreManifest
    /// Sizes of the draft vocabularies that were asked for, ascending.
    let draftVocabSizes: [Int]

    /// - Throws: An error that names the file or the option, if the target or the dataset can't be used.
    init(_ options: BuildOptions) throws {
        self.options = options
        let (format, target) = try options.settings.template.load(options.targetModelPath)
        self.target = target
        self.format = options.settings.reasoning == .off ? try format.withoutThoughts() : format
        draftVocabSizes = try options.draftVocabSizes(target)
        var manifest = try options.manifest(target, self.format)
        if let prompts = options.prompts, !prompts.reasoning.keepsThoughts {
            manifest.answerHistory = try PromptBuilder(target, self.format, prompts).history
        }
        self.manifest = manifest
        path = StoreLocation.path(
            cacheDir: options.cache.cacheDir, dataPaths: options.trainDataPath, holding: options.settings.contents)
        cache = try CacheDirectory(making: options.cache.cacheDir)
    }

    /// The store's name in the cache.
    private var key: String { StoreLocation.key(options.trainDataPath, holding: options.settings.contents) }

    /// Builds the store unless it is there or another is the same; with others if this is rank 0 of several.
    func run(with exchange: RankExchange?) throws -> Outcome {
        // What needs no build needs no lock: a cache that others keep, and this user only reads, will do.
        if exchange == nil, !options.force, try reasonToBuild() == nil, try missingMappings().isEmpty {
            return Outcome(isUpToDate: true)
        }
        let lock = try BuildLock(path) { Log.line("waiting for another build of \(path)") }
        defer { withExtendedLifetime(lock) {} }
        do {
            try cache.removeLeftovers(key)
            return try buildIfNeeded(with: exchange)
        } catch {
            try? exchange?.end(failure: "\(error)")
            if !fileExists(path), !fileExists("\(path).partial") { try lock.removeFile() }
            throw error
        }
    }

    /// Makes a part of the samples, for rank 0 to write.
    func help(_ exchange: RankExchange) throws {
        guard let skip = try exchange.plan() else { return }
        try pipeline().runShare(of: exchange, skip: skip)
    }

    private func buildIfNeeded(with exchange: RankExchange?) throws -> Outcome {
        let reason = options.force ? "" : try reasonToBuild()
        if let reason, !reason.isEmpty { Log.line("building again: \(reason)") }
        guard try reason == nil || (!options.force && linked()) else {
            let report = try build(with: exchange)
            try exchange?.end()
            return report
        }
        try exchange?.begin(skip: nil)
        try exchange?.end()
        try addMappings()
        return Outcome(isUpToDate: true)
    }

    // MARK: - What is there

    /// Why there must be a build: what changed, or an empty text if there is no store yet; nil if it is up to date.
    private func reasonToBuild() throws -> String? {
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
        let comparison = try StoreLocation.check(old, dataPaths: options.trainDataPath)
        if let moved = comparison.moved { StoreLink.remember(moved, of: path) }
        let changes = old.changes(to: manifest) + [comparison.change].compactMap(\.self)
        return changes.isEmpty ? nil : changes.joined(separator: "; ")
    }

    /// Uses another dataset's store, if it was built from the same contents in the same way.
    private func linked() throws -> Bool {
        guard let twin = try StoreLocation.twin(of: manifest, in: cache, except: cache.path(.store, key)),
            try StoreLink.make(key, in: cache, to: twin.store, files: twin.files)
        else { return false }
        Log.line("linked to \(twin.store), which was built from the same contents")
        return true
    }

    /// The store that is there, if the dataset has only grown since and nothing else has changed.
    private func grown() throws -> SampleStore? {
        guard fileExists(path), let old = try? SampleStore(reading: path), old.manifest.changes(to: manifest).isEmpty,
            try StoreLocation.isGrown(since: old.manifest, dataPaths: options.trainDataPath)
        else { return nil }
        return old
    }

    // MARK: - Draft vocabularies

    /// The draft vocabularies that were asked for by their sizes and that the store hasn't.
    private func missingMappings() throws -> Set<Int> {
        Set(options.settings.draftVocabSize).subtracting(try SampleStore(reading: path).manifest.draftVocabSizes)
    }

    /// Gives a store that is up to date the draft vocabularies that it hasn't: nothing is tokenized for it.
    private func addMappings() throws {
        let missing = try missingMappings()
        guard !missing.isEmpty else { return }
        let store = try SampleStore(reading: path)
        try StoreSeal.replaceMappings(of: store, missing.union(store.manifest.draftVocabSizes).sorted())
        Log.line("added draft vocabularies of \(missing.sorted().map(String.init).joined(separator: ", ")) tokens")
    }

    /// Sizes of the draft vocabularies that a store gets: those asked for, and those of the store that it replaces.
    private var mappings: [Int] {
        let old = options.force ? nil : try? SampleStore(reading: path).manifest
        guard let old, old.vocabSize == manifest.vocabSize else { return draftVocabSizes }
        let smallest = Set(manifest.specialTokens.map(\.id)).count
        return Set(draftVocabSizes).union(old.draftVocabSizes.filter { $0 >= smallest }).sorted()
    }

    // MARK: - The build

    private func build(with exchange: RankExchange?) throws -> Outcome {
        try checkTemplate()
        let pipeline = try pipeline()
        if let line = UnreadKeys(ofFirstRecords: pipeline.dataPaths, isPreformatted: pipeline.isPreformatted).line {
            Log.line(line)
        }
        let mappings = mappings
        let writer = try writer(with: exchange)
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
        return Outcome(
            isUpToDate: false, seconds: (ContinuousClock.now - start).seconds,
            newTokens: finished.counts.tokens - before)
    }

    /// Begins or continues the store's file, and the work of the other ranks.
    private func writer(with exchange: RankExchange?) throws -> SampleStoreWriter {
        let writer = try SampleStoreWriter(path: path, manifest: manifest, isFresh: options.force)
        do {
            if writer.recordsDone > 0 {
                Log.line("continuing an unfinished build after record \(writer.recordsDone)")
            } else if !options.force, let old = try grown() {
                try writer.takeOver(old)
                Log.line("the dataset has grown: continuing after record \(writer.recordsDone)")
            }
            try exchange?.begin(skip: writer.recordsDone)
        } catch {
            if !writer.canBeContinued { try? writer.discard() }
            throw error
        }
        return writer
    }

    private func pipeline() throws -> Pipeline {
        let settings = SampleBuilder.Settings(
            options.settings, ignoredTokens: try options.ignoredTokens(target), vocabSize: target.vocabSize)
        let (target, format, fit) = (target, format, TemplateFit(format))
        let prompts = options.prompts
        var pipeline = Pipeline(
            dataPaths: StoreLocation.expand(options.trainDataPath), isPreformatted: options.settings.isPreformatted,
            needsAnswer: options.settings.minLossTokens > 0 && options.settings.prompts == nil,
            roles: try RoleNames(options.settings.roleMap),
            threads: options.numThreads ?? Machine.availableCPUs
        ) {
            let builder: SampleBuilder
            do {
                if let prompts {
                    let builder = try PromptBuilder(target, format, prompts)
                    return { row throws(Rejection) in try builder.samples(from: row) }
                }
                builder = try SampleBuilder(target.tokenizer, format, fit, settings)
            } catch {
                return { _ throws(Rejection) in throw Rejection(.template, "\(error)") }
            }
            return { row throws(Rejection) in try builder.samples(from: row) }
        }
        pipeline.acceptsAnyShare = options.settings.anySupervisedShare || prompts != nil
        pipeline.largestRecord = options.settings.maxRecordSize << 20
        return pipeline
    }

    /// Proves the chat template before anything is built by it.
    ///
    /// - Throws: `TemplateError` with what failed, unless the user wants to build all the same.
    private func checkTemplate() throws {
        // Of prompts each one is compared with what the template writes up to its answers.
        guard options.settings.prompts == nil else { return }
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
