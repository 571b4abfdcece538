import Shared

/// What a row was made into: a sample, or several where each turn is one or what is too long is split.
struct MadeRow: Equatable {
    /// At least one.
    var samples: [Sample]
    var repairs: [SourceRecord.Repair] = []
    /// How many of them were cut to the most tokens.
    var truncated = 0
    /// How many others were left out, because too few of their tokens are supervised.
    var leftOut = 0
}

/// Makes a row into samples; each worker has one of its own.
typealias SampleMaker = (SourceRow) throws(Rejection) -> MadeRow

/// From a dataset's files to its store: reader, workers, writer.
///
/// One thread reads batches of records, and writes the workers' results in the dataset's order. So a store doesn't
/// depend on the number of workers, and memory holds a few batches whatever the dataset's size. After a batch with a
/// record that is much larger than others, nothing is read until it is done.
struct Pipeline {
    var dataPaths: [String]
    var isPreformatted: Bool
    /// Whether conversations without a question and an answer are refused.
    var needsAnswer = true
    /// The names of roles.
    var roles = RoleNames()
    var threads: Int
    /// Called once on each worker's thread.
    var makeSampleMaker: @Sendable () -> SampleMaker
    /// Whether to skip the plausibility check of the supervised share.
    var acceptsAnyShare = false
    /// Bytes that are read at once.
    var blockSize = 1 << 20
    /// Bytes of the largest record that is accepted.
    var largestRecord = DatasetReader.defaultLargestRecord

    /// Resumes where the writer is and finishes the store.
    ///
    /// What was written stays after an error only if another build can resume from it.
    /// - Parameter progress: Called after each batch, with the bytes that were read and the writer's counts.
    /// - Parameter draftVocabSizes: Sizes of the draft vocabularies that the store gets, ascending.
    /// - Parameter exchange: The other ranks that make a part of the batches, if there are any.
    /// - Throws: `Interrupted` after committing what is done, if a signal has come; else what reading or writing threw.
    func run(
        into writer: SampleStoreWriter, draftVocabSizes: [Int] = [], with exchange: RankExchange? = nil,
        progress: (_ bytesRead: Int, _ counts: StoreCounts) -> Void = { _, _ in }
    ) throws -> StoreManifest {
        do {
            return try build(with: writer, draftVocabSizes, exchange, progress)
        } catch {
            if error is DatasetError || !writer.canBeContinued { try writer.discard() }
            throw error
        }
    }

    private func build(
        with writer: SampleStoreWriter, _ draftVocabSizes: [Int], _ exchange: RankExchange?,
        _ progress: (Int, StoreCounts) -> Void
    ) throws -> StoreManifest {
        var reader = reader(skip: writer.recordsDone)
        var firstProblem: String?
        do {
            try forEachBatch(&reader, { exchange?.isOwn($0) ?? true }) { number, bytesRead, own in
                for record in try own ?? exchange?.take(number) ?? [] {
                    if firstProblem == nil { firstProblem = problem(record) }
                    try writer.add(record)
                }
                progress(bytesRead, writer.counts)
            }
        } catch let interrupted as Interrupted {
            try writer.commit()
            throw interrupted
        }
        try exchange?.check(reader.ends.map(\.digest.hex))
        try check(writer, firstProblem: firstProblem)
        return try writer.finish(reader.ends, draftVocabSizes: draftVocabSizes)
    }

    /// Makes this rank's part of the batches after `skip` records, for rank 0 to write.
    func runShare(of exchange: RankExchange, skip: Int) throws {
        let writer = try exchange.writer()
        do {
            var reader = reader(skip: skip)
            try forEachBatch(&reader, exchange.isOwn) { number, _, own in
                if let own { try writer.send(.batch(number, own)) }
            }
            try writer.send(.end(digests: reader.ends.map(\.digest.hex)))
            exchange.leave()
        } catch {
            try writer.send(.failure("\(error)"))
            throw error
        }
    }

    private func reader(skip: Int) -> DatasetReader {
        DatasetReader(dataPaths, skip: skip, blockSize: blockSize, largestRecord: largestRecord)
    }

    /// Reads batch by batch, has workers make those that `isOwn` says, and hands out all in order.
    private func forEachBatch(
        _ reader: inout DatasetReader, _ isOwn: (Int) -> Bool,
        _ body: (_ number: Int, _ bytesRead: Int, _ own: [SourceRecord]?) throws -> Void
    ) throws {
        let makeProcessor = {
            @Sendable [isPreformatted, needsAnswer, roles, makeSampleMaker] in
            let parser = ConversationParser(isPreformatted: isPreformatted, needsAnswer: needsAnswer, roles: roles)
            return BatchProcessor(parser, makeSample: makeSampleMaker())
        }
        let largeSize = Self.largeBatch * blockSize
        let workers = try OrderedWorkers<RecordBatch, [SourceRecord]>(threads: threads) {
            var processor = makeProcessor()
            return { batch in
                let records = processor.process(batch)
                // Else each worker would keep what its largest record needed.
                if batch.bytes.count > largeSize { processor = makeProcessor() }
                return records
            }
        }
        defer { workers.close() }
        // Batches that were read and not handed out yet: those of this rank are being made.
        var ahead: [(number: Int, bytesRead: Int, isLarge: Bool)] = []
        var (read, isAtEnd) = (0, false)
        while !isAtEnd || !ahead.isEmpty {
            try Interrupt.check()
            var isLargeAhead = ahead.contains { $0.isLarge }
            while !isAtEnd && workers.canSubmit && ahead.count < 1024 && !isLargeAhead {
                guard let batch = try reader.next() else {
                    isAtEnd = true
                    break
                }
                isLargeAhead = isOwn(read) && batch.bytes.count > largeSize
                ahead.append((read, batch.bytesRead, isLargeAhead))
                if isOwn(read) { workers.submit(batch) }
                read += 1
            }
            guard !ahead.isEmpty else { break }
            let (number, bytesRead, _) = ahead.removeFirst()
            let made = isOwn(number) ? workers.take() : nil
            // Of a batch in which a worker was interrupted, nothing counts.
            try Interrupt.check()
            try body(number, bytesRead, made)
        }
    }

    /// Of how many ordinary batches' size one is large.
    private static let largeBatch = 4

    /// The share of supervised tokens that datasets have; outside of it, the answers weren't found.
    private static let plausibleShare = 0.0005...0.995

    /// Where a record is and why it was rejected; nil if it wasn't.
    private func problem(_ record: SourceRecord) -> String? {
        guard case .rejected(let reason, let detail) = record.outcome else { return nil }
        return "\(dataPaths[record.source.file]):\(record.source.line): \(reason): \(detail)"
    }

    /// - Throws: `DatasetError` if there is nothing to learn from or almost nothing else, or a file has changed since the
    ///   manifest was made.
    private func check(_ writer: SampleStoreWriter, firstProblem: String?) throws {
        for file in writer.files where try FileStatus(of: file.path) != file.status {
            throw DatasetError(path: file.path, message: "changed while it was read; build again")
        }
        let counts = writer.counts
        let dataset = dataPaths.joined(separator: ", ")
        guard counts.kept == 0 else {
            guard acceptsAnyShare || Self.plausibleShare.contains(counts.supervisedShare) else {
                throw DatasetError(
                    path: dataset,
                    message: "\(fixed(100 * counts.supervisedShare, 2))% of its tokens are supervised, which is "
                        + "implausible; see Preprocess check-template, or build with --any-supervised-share")
            }
            return
        }
        guard counts.read > 0 else { throw DatasetError(path: dataset, message: "has no records") }
        let reasons = counts.rejected.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        let example = firstProblem.map { "; the first: \($0)" } ?? ""
        throw DatasetError(
            path: dataset,
            message: "none of its \(counts.read) records can be used: \(reasons.joined(separator: ", "))\(example)")
    }
}

/// A worker's own: its parser and its sample maker.
private final class BatchProcessor {
    private let parser: ConversationParser
    private let makeSample: SampleMaker

    init(_ parser: ConversationParser, makeSample: @escaping SampleMaker) {
        self.parser = parser
        self.makeSample = makeSample
    }

    func process(_ batch: RecordBatch) -> [SourceRecord] {
        batch.bytes.withUnsafeBytes { bytes in batch.records.map { process($0, bytes, file: batch.file) } }
    }

    private func process(_ record: RecordBatch.Record, _ bytes: UnsafeRawBufferPointer, file: Int) -> SourceRecord {
        var made = SourceRecord(
            source: SampleSource(file: file, line: record.line, id: []), offset: record.offset,
            outcome: .rejected(reason: "", detail: ""))
        do throws(Rejection) {
            if let problem = record.problem { throw problem }
            let row = try parser.parse(padded: UnsafeRawBufferPointer(rebasing: bytes[record.range]))
            made.source.id = row.id
            let result = try makeSample(row)
            made.repairs = row.repairs + result.repairs
            let samples = result.samples.filter { !$0.inputIDs.isEmpty }
            guard !samples.isEmpty else { throw Rejection(.empty, "is rendered to no tokens") }
            made.outcome = .kept(samples)
            (made.truncated, made.leftOut) = (result.truncated, result.leftOut)
        } catch {
            let isCutOff = record.isUnfinished && error.reason == .malformed
            let reason: Rejection.Reason = isCutOff ? .cutOff : error.reason
            let detail = isCutOff ? "the file ends within the record" : error.detail
            made.outcome = .rejected(reason: reason.rawValue, detail: detail)
        }
        return made
    }
}
