@preconcurrency import Glibc
import Shared

/// Builds a store aside, in `PATH.partial`, and gives it its name when it is whole.
///
/// What is committed survives the end of the process at any moment: the next writer of the same dataset and settings
/// continues after it. Bytes depend on the records and the manifest alone, not on when anything was committed.
final class SampleStoreWriter {
    /// Bytes of finished blocks that are kept in memory between two commits.
    private static let commitBytes = 2 << 20
    /// The most notes of a block, and the most records whose tokens are counted for ranks.
    static let (blockNotes, rankRecords) = (4096, 65536)
    /// Bytes that are copied from another store between two commits.
    private static let copyBytes = 16 << 20

    let path: String
    private let environment: LMDBEnvironment
    private let compressor: Compressor
    private var manifest: StoreManifest
    private var stage: Stage
    private var progress: StoreProgress

    /// What becomes of records that are added.
    private enum Stage {
        /// They wait until there are enough tokens to rank.
        case ranking(UnrankedRecords)
        /// They go into blocks, their tokens by these ranks.
        case writing(TokenRanks)
    }

    private var group = SampleGroupWriter()
    /// Samples in finished groups and in the current one.
    private var samplesWritten = 0
    private var block: [UInt8] = []
    private var blockIndex = StoreBlockIndex(firstGroup: 0, firstSample: 0)
    private var notes: [SourceNote] = []
    private var records: [(key: [UInt8], value: [UInt8])] = []
    private var recordBytes = 0
    /// How far the finished blocks reach: what a commit records.
    private var finished: StoreProgress
    /// Records of the store that was taken over.
    ///
    /// All must be in finished blocks before a commit: of single ones less is known than of all together.
    private var recordsTakenOver = 0
    /// Whether the next writer of the same dataset and settings could continue what is committed.
    private(set) var canBeContinued = false

    /// Opens `PATH.partial` and continues it if it was begun for the same manifest, or begins from the start.
    ///
    /// - Parameter isFresh: Whether to begin from the start in any case.
    init(path: String, manifest: StoreManifest, isFresh: Bool = false) throws {
        self.path = path
        self.manifest = manifest
        compressor = Compressor(level: manifest.layout.compressionLevel)
        guard ModelConfiguration.vocabSizes.contains(manifest.vocabSize) else {
            throw StoreError(path, "can't have a vocabulary of \(manifest.vocabSize)")
        }
        let directory = try Directory(directory(of: path))
        let name = (path.split(separator: "/").last.map(String.init) ?? path) + ".partial"
        let partial = directory.path(of: name)
        var file = isFresh ? nil : try? directory.open(name, O_RDWR)
        var begun = file.flatMap { try? Self.begun($0.pinnedPath, manifest) }
        if begun == nil { file = try directory.create(name) }
        environment = try LMDBEnvironment(partial, .exclusive(syncEachCommit: true), opened: file)
        if environment.mapSize < 64 << 20 { try environment.setMapSize(64 << 20) }
        stage = begun.map { .writing($0.ranks) } ?? .ranking(UnrankedRecords())
        progress = begun?.progress ?? StoreProgress(vocabSize: manifest.vocabSize)
        finished = progress
        canBeContinued = begun != nil
        begun = nil
        samplesWritten = progress.counts.samples
        blockIndex = StoreBlockIndex(firstGroup: progress.groups, firstSample: progress.counts.samples)
    }

    /// What an unfinished store would be; its counts are those of the last commit.
    static func manifest(ofUnfinished partial: String) throws -> StoreManifest {
        try LMDBFileCheck(partial).run()
        let transaction = try LMDBReadTransaction(LMDBEnvironment(partial, .immutable))
        let records = StoreReader(partial, transaction, Decompressor())
        var manifest = try records.manifest()
        manifest.counts = try StoreProgress(records, path: partial, vocabSize: manifest.vocabSize).counts
        return manifest
    }

    private static func begun(
        _ partial: String, _ manifest: StoreManifest
    ) throws -> (progress: StoreProgress, ranks: TokenRanks)? {
        try LMDBFileCheck(partial).run()
        let transaction = try LMDBReadTransaction(LMDBEnvironment(partial, .immutable))
        let records = StoreReader(partial, transaction, Decompressor())
        guard try records.manifest() == manifest else { return nil }
        let ranks = try records.read(StoreKey.ranks) { bytes throws(DecodingFailure) in
            try TokenRanks(decoding: bytes, vocabSize: manifest.vocabSize)
        }
        return (try StoreProgress(records, path: partial, vocabSize: manifest.vocabSize), ranks)
    }

    /// The dataset's files, as they were when the build began.
    var files: [StoreManifest.DataFile] { manifest.files }

    /// Records of the dataset that the writer has; the next to `add` is the one after them.
    var recordsDone: Int { counts.read }

    /// What was added, committed or not.
    private(set) lazy var counts = progress.counts

    /// Adds the next record of the dataset.
    func add(_ record: SourceRecord) throws {
        counts.add(record)
        switch stage {
        case .writing(let ranks): try write(record, ranks)
        case .ranking(let waiting):
            waiting.add(record)
            if waiting.tokens >= manifest.layout.rankTokens || waiting.records.count >= Self.rankRecords {
                try rank(waiting)
            }
        }
    }

    /// Takes all records of a finished store whose dataset has grown since.
    ///
    /// What follows is added after them, and in the end all is as if the whole dataset had been added.
    ///
    /// Whole blocks are copied. The last one, which ended because the dataset did, is put together again; so are all if
    /// there were too few tokens yet to rank them.
    /// - Parameter old: A store of the same settings and layout, each of whose records has a line of its own.
    func takeOver(_ old: SampleStore) throws {
        precondition(counts.read == 0 && old.manifest.fingerprint == manifest.fingerprint)
        let total = old.manifest.counts
        let isRanked = total.tokens >= manifest.layout.rankTokens || total.read >= Self.rankRecords
        let blocks = isRanked ? max(0, old.blockCount - 1) : 0
        if isRanked {
            for key in [StoreKey.ranks] + (0..<blocks).flatMap(StoreKey.ofBlock) {
                if let value = try old.value(of: key) { put(key, Array(value)) }
                guard recordBytes >= Self.copyBytes else { continue }
                try environment.write(records)
                (records, recordBytes) = ([], 0)
            }
            stage = .writing(old.ranks)
        }
        let replayed = try old.sourceRecords(fromBlock: blocks)
        progress.counts = total.without(replayed)
        progress.tokenCounts = try old.tokenCounts()
        guard progress.uncount(replayed.flatMap(\.samples)) else {
            throw StoreError(old.path, "its token counts aren't those of its samples")
        }
        (progress.blocks, progress.groups) = (blocks, old.firstGroup(ofBlock: blocks))
        samplesWritten = progress.counts.samples
        blockIndex = StoreBlockIndex(firstGroup: progress.groups, firstSample: samplesWritten)
        (finished, counts, recordsTakenOver) = (progress, progress.counts, total.read)
        for record in replayed { try add(record) }
    }

    /// Commits all whole blocks.
    func commit() throws {
        guard !records.isEmpty, finished.counts.read >= recordsTakenOver else { return }
        var (commit, text) = (records, finished.counts.json)
        text = .object([("blocks", .int(finished.blocks)), ("groups", .int(finished.groups)), ("counts", text)])
        commit.append((StoreKey.progress, compressor.compress(Array(text.compact.utf8))))
        commit.append((StoreKey.counts, compressor.compress(TokenCounts.encode(finished.tokenCounts))))
        commit.append((StoreKey.manifest, compressor.compress(Array(manifest.json.compact.utf8))))
        try environment.write(commit)
        canBeContinued = true
        records.removeAll()
        recordBytes = 0
    }

    /// Writes what is left, completes the manifest with what is known of the files now, and gives the store its name.
    ///
    /// - Parameter draftVocabSizes: Sizes of the draft vocabularies that it gets, ascending.
    func finish(_ ends: [StoreManifest.FileEnd], draftVocabSizes: [Int] = []) throws -> StoreManifest {
        if case .ranking(let waiting) = stage { try rank(waiting) }
        try endGroup()
        if !blockIndex.groups.isEmpty || !notes.isEmpty { try endBlock() }
        precondition(ends.count == manifest.files.count && progress.counts == counts && counts.isReconciled)
        var complete = manifest
        complete.state = .complete
        complete.counts = progress.counts
        complete.draftVocabSizes = draftVocabSizes
        for (i, end) in ends.enumerated() {
            complete.files[i].digest = end.digest.hex
            complete.files[i].isAppendable = end.isAppendable
        }
        // The last commit, so that a build that is ended while the store is sealed has only that to do again.
        try commit()
        let mappings = try draftVocabSizes.map { size in
            try VocabularyMapping.derive(
                counts: progress.tokenCounts, draftVocabSize: size, always: manifest.specialTokens.map(\.id))
        }
        try StoreSeal.seal(environment, at: path, adding: StoreSeal.records(complete, mappings))
        return complete
    }

    /// Removes what was written; nothing may be added then.
    func discard() throws(FileError) {
        guard unlink(environment.path) == 0 || errno == ENOENT else { throw FileError(environment.path, "remove it") }
    }

    // MARK: - Blocks

    /// Ranks the tokens of the records that waited, and writes these.
    private func rank(_ waiting: UnrankedRecords) throws {
        var counts = [Int](repeating: 0, count: manifest.vocabSize)
        for sample in waiting.records.lazy.flatMap(\.samples) {
            for id in sample.inputIDs { counts[Int(id)] += 1 }
        }
        let ranks = TokenRanks(counts: counts)
        stage = .writing(ranks)
        put(StoreKey.ranks, compressor.compress(ranks.encoded))
        for record in waiting.records { try write(record, ranks) }
    }

    private func write(_ record: SourceRecord, _ ranks: TokenRanks) throws {
        progress.counts.add(record)
        progress.add(record.samples)
        notes += record.notes
        for sample in record.samples {
            group.add(sample, record.source, ranks: ranks)
            samplesWritten += 1
        }
        if group.tokenCount >= manifest.layout.groupTokens { try endGroup() }
        if block.count >= manifest.layout.blockBytes || notes.count >= Self.blockNotes {
            try endGroup()
            try endBlock()
        }
    }

    private func endGroup() throws {
        let lengths = group.lengths
        guard !lengths.isEmpty else { return }
        let content = group.finish(number: progress.groups, firstSample: samplesWritten - lengths.count)
        let size = compressor.compress(content, to: &block)
        blockIndex.groups.append(.init(size: size, lengths: lengths.map(Int32.init)))
        progress.groups += 1
    }

    private func endBlock() throws {
        let number = progress.blocks
        if !block.isEmpty { put(StoreKey.block(number), block) }
        put(StoreKey.index(number), compressor.compress(blockIndex.encoded(block: number)))
        if !notes.isEmpty {
            put(StoreKey.notes(number), compressor.compress(SourceNote.encode(notes, block: number)))
        }
        block.removeAll(keepingCapacity: true)
        notes.removeAll()
        progress.blocks += 1
        blockIndex = StoreBlockIndex(firstGroup: progress.groups, firstSample: progress.counts.samples)
        finished = progress
        if recordBytes >= Self.commitBytes { try commit() }
    }

    private func put(_ key: [UInt8], _ value: [UInt8]) {
        records.append((key, value))
        recordBytes += value.count
    }
}

/// Records that wait until there are enough tokens to rank.
private final class UnrankedRecords {
    private(set) var records: [SourceRecord] = []
    private(set) var tokens = 0

    func add(_ record: SourceRecord) {
        records.append(record)
        for sample in record.samples { tokens += sample.inputIDs.count }
    }
}

extension SourceRecord {
    /// What the store remembers of the record besides its sample.
    fileprivate var notes: [SourceNote] {
        func note(_ kind: SourceNote.Kind, _ reason: String, _ detail: String) -> SourceNote {
            SourceNote(
                kind: kind, file: source.file, line: source.line, offset: offset, reason: reason, detail: detail)
        }
        switch outcome {
        case .rejected(let reason, let detail): return [note(.rejected, reason, detail)]
        case .kept:
            return repairs.map { repair in
                note(.repaired, repair.reason, repair.detail)
            }
        }
    }
}
