/// A finished store of samples, mapped into memory.
///
/// Any number of processes may read a store at once, and a build of a newer one doesn't disturb them. Within a
/// process, a thread uses a reader of its own.
public final class SampleStore {
    /// A frame of several samples, and where it is.
    private struct Group {
        let block: Int
        let offset: Int
        let size: Int
        let firstSample: Int
    }

    /// The largest content that a record's frame may have, in bytes.
    private static let contentLimit = 1 << 30

    public let path: String
    /// The manifest, with the files of the dataset that it serves under its path.
    public let manifest: StoreManifest
    /// The same as it is stored, with the files that it was built from.
    package let storedManifest: StoreManifest
    private let transaction: LMDBReadTransaction
    private let decompressor = Decompressor()
    package let ranks: TokenRanks
    private let lengths: [Int32]
    private let groups: [Group]
    package let blockCount: Int
    private var current: SampleGroup?

    /// Opens a store and reads its index.
    /// - Throws: `StoreError`, `LMDBError` or `FileError` that name the file, if it isn't a whole store.
    public init(reading path: String) throws {
        self.path = path
        try LMDBFileCheck(path).run()
        let transaction = try LMDBReadTransaction(LMDBEnvironment(path, .immutable))
        self.transaction = transaction
        let records = StoreReader(path, transaction, decompressor)
        var manifest = try records.manifest()
        storedManifest = manifest
        manifest.files = try StoreLink.files(of: path, builtFrom: manifest.files)
        self.manifest = manifest
        guard manifest.state == .complete, manifest.counts.isReconciled else {
            throw StoreError(path, "isn't a finished store")
        }
        let vocabSize = manifest.vocabSize
        ranks = try records.read(StoreKey.ranks, limit: Self.contentLimit) { bytes throws(DecodingFailure) in
            try TokenRanks(decoding: bytes, vocabSize: vocabSize)
        }
        let index = try records.index(samples: manifest.counts.samples, tokens: manifest.counts.tokens)
        lengths = index.flatMap { $0.groups.flatMap(\.lengths) }
        groups = Self.groups(index)
        blockCount = index.count
    }

    private static func groups(_ index: [StoreBlockIndex]) -> [Group] {
        var groups: [Group] = []
        var firstSample = 0
        for (block, entry) in index.enumerated() {
            var offset = 0
            for group in entry.groups {
                groups.append(Group(block: block, offset: offset, size: group.size, firstSample: firstSample))
                offset += group.size
                firstSample += group.lengths.count
            }
        }
        return groups
    }

    /// The number of samples.
    public var count: Int { lengths.count }

    /// The number of frames that the samples are in.
    public var groupCount: Int { groups.count }

    /// The number of tokens of a sample, for which nothing is decompressed.
    public func length(of index: Int) -> Int { Int(lengths[index]) }

    /// A sample by its number, from 0, in the dataset's order.
    /// - Throws: `StoreError` that names the group and its samples, if their bytes were damaged.
    public func sample(at index: Int) throws -> Sample {
        let number = try load(groupOf: index)
        guard let group = current else { preconditionFailure("a group was loaded") }
        do {
            return try group.sample(at: index - groups[number].firstSample, ranks: ranks)
        } catch {
            throw failure(number, error.message)
        }
    }

    /// The record of the dataset that a sample comes from.
    public func source(of index: Int) throws -> SampleSource {
        let number = try load(groupOf: index)
        guard let group = current else { preconditionFailure("a group was loaded") }
        return group.source(at: index - groups[number].firstSample)
    }

    /// How often each token is supervised: [vocabSize].
    public func tokenCounts() throws -> [UInt64] {
        let total = manifest.counts.supervisedTokens
        return try records.read(StoreKey.counts, limit: Self.contentLimit) {
            [vocabSize = manifest.vocabSize] bytes throws(DecodingFailure) in
            try TokenCounts.decode(bytes, vocabSize: vocabSize, total: total)
        }
    }

    /// The draft vocabulary of a size: the store's own, or else derived from its counts in the same way.
    public func vocabularyMapping(draftVocabSize: Int) throws -> VocabularyMapping {
        guard manifest.draftVocabSizes.contains(draftVocabSize) else {
            return try derivedMapping(draftVocabSize: draftVocabSize)
        }
        let vocabSize = manifest.vocabSize
        let draftToTarget = try records.read(StoreKey.mapping(draftVocabSize), limit: Self.contentLimit) {
            bytes throws(DecodingFailure) in
            try VocabularyMapping.decode(bytes, vocabSize: vocabSize, draftVocabSize: draftVocabSize)
        }
        return VocabularyMapping(draftToTarget: draftToTarget, counts: try tokenCounts())
    }

    /// The draft vocabulary of a size, by the store's counts and always with its special tokens.
    package func derivedMapping(draftVocabSize: Int) throws -> VocabularyMapping {
        try .derive(
            counts: tokenCounts(), draftVocabSize: draftVocabSize, always: manifest.specialTokens.map(\.id))
    }

    /// The records that were rejected or repaired, in the dataset's order.
    public func notes() throws -> [SourceNote] {
        var notes: [SourceNote] = []
        for block in 0..<blockCount { notes += try records.notes(block: block) }
        return notes
    }

    /// Reads every record and compares them with the manifest and the indices.
    /// - Throws: `StoreError` that names the first record that is damaged or doesn't fit the others.
    public func verify(progress: (_ samples: Int) throws -> Void = { _ in }) throws {
        var counts = [UInt64](repeating: 0, count: manifest.vocabSize)
        for index in 0..<count {
            let sample = try sample(at: index)
            let supervised = (sample.lossMask.count(where: \.self), sample.withoutPadding.lossMask.count(where: \.self))
            if supervised.0 != supervised.1 {
                throw StoreError(path, "sample \(index) has padding that is supervised")
            }
            for (id, isSupervised) in zip(sample.inputIDs, sample.lossMask) where isSupervised { counts[Int(id)] += 1 }
            try progress(index + 1)
        }
        guard try counts == tokenCounts() else {
            throw StoreError(path, "its token counts aren't those of its samples")
        }
        for size in manifest.draftVocabSizes {
            guard try vocabularyMapping(draftVocabSize: size) == derivedMapping(draftVocabSize: size) else {
                throw StoreError(path, "its draft vocabulary of \(size) isn't the one of its token counts")
            }
        }
        var (rejected, repaired): ([String: Int], [String: Int]) = ([:], [:])
        for note in try notes() {
            switch note.kind {
            case .rejected: rejected[note.reason, default: 0] += 1
            case .repaired: repaired[note.reason, default: 0] += 1
            }
        }
        guard rejected == manifest.counts.rejected, repaired == manifest.counts.repaired else {
            throw StoreError(path, "its notes of rejected and repaired records aren't as many as its manifest says")
        }
    }

    /// A record as it is stored.
    package func value(of key: [UInt8]) throws -> UnsafeRawBufferPointer? { try transaction.value(of: key) }

    package func firstGroup(ofBlock block: Int) -> Int { groups.firstIndex { $0.block >= block } ?? groups.count }

    package func firstSample(ofBlock block: Int) -> Int {
        groups.first { $0.block >= block }?.firstSample ?? count
    }

    package var records: StoreReader { StoreReader(path, transaction, decompressor) }

    /// Makes the group with a sample the current one; returns its number.
    private func load(groupOf index: Int) throws -> Int {
        precondition(lengths.indices.contains(index), "sample \(index) of \(count)")
        var (low, high) = (0, groups.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if groups[middle].firstSample <= index { low = middle } else { high = middle }
        }
        guard current?.number != low else { return low }
        let group = groups[low]
        let samples = samples(of: low)
        guard let block = try transaction.value(of: StoreKey.block(group.block)), group.offset <= block.count,
            group.size <= block.count - group.offset
        else { throw failure(low, "isn't there") }
        let frame = UnsafeRawBufferPointer(rebasing: block[group.offset..<group.offset + group.size])
        do {
            let content = try decompressor.content(of: frame, limit: Self.contentLimit)
            current = try SampleGroup(
                content, number: low, firstSample: group.firstSample, lengths: lengths[samples])
        } catch let error as ZstandardError {
            throw failure(low, error.message)
        } catch let error as DecodingFailure {
            throw failure(low, error.message)
        }
        return low
    }

    private func samples(of group: Int) -> Range<Int> {
        groups[group].firstSample..<(group + 1 < groups.count ? groups[group + 1].firstSample : count)
    }

    private func failure(_ group: Int, _ message: String) -> StoreError {
        let samples = samples(of: group)
        let key = String(decoding: StoreKey.block(groups[group].block), as: UTF8.self)
        return StoreError(
            path,
            "record '\(key)': group \(group), samples \(samples.lowerBound) to \(samples.upperBound - 1), "
                + "is damaged: \(message)")
    }
}
