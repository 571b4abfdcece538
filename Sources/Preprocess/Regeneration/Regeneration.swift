import Shared

/// A run in which servers answer a dataset: one thread reads records and writes what has become of them, others ask.
struct Regeneration {
    var dataPaths: [String]
    var turns: PromptTurns
    var roles: RoleNames
    var largestRecord: Int
    /// Requests under way at once.
    var threads: Int
    var makeAnswering: @Sendable () -> RecordAnswering

    /// Records that are looked at, of which none has an answer, before it is clear that none will have.
    static let mostFailures = 100

    private typealias Result = Swift.Result<RecordOutcome, any Error>

    /// - Parameter progress: Called after each record, with the bytes that were read.
    /// - Throws: What reading, asking or writing threw; what has been answered until then is written.
    func run(_ job: RegenerationJob, progress: (Int) -> Void = { _ in }) throws -> RegenerationReport {
        let workers = try WorkerPool<Question, Result>(threads: threads) { [makeAnswering] in
            let answering = makeAnswering()
            return { question in Result { try answering.outcome(of: question) } }
        }
        defer { workers.close() }
        do {
            try answer(job, workers, progress)
        } catch {
            try job.sync()
            throw error
        }
        return try job.finish()
    }

    private func answer(
        _ job: RegenerationJob, _ workers: WorkerPool<Question, Result>, _ progress: (Int) -> Void
    ) throws {
        var reader = DatasetReader(dataPaths, largestRecord: largestRecord)
        let parser = ConversationParser(isPreformatted: false, needsAnswer: false, roles: roles)
        var keys = RecordKeys()
        var bytesRead = 0
        func collect() throws {
            let (ticket, result) = workers.take()
            try job.end(ticket, result.get())
            progress(bytesRead)
            try expectAnyAnswer(job)
        }
        while let batch = try reader.next() {
            try batch.bytes.withUnsafeBytes { bytes in
                for record in batch.records {
                    try Interrupt.check()
                    while !job.canBegin || !workers.canSubmit { try collect() }
                    let text = UnsafeRawBufferPointer(rebasing: bytes[record.range])
                    var source = RecordSource(
                        file: dataPaths[batch.file], line: record.line, key: keys.next(Self.digest(record, text)))
                    do throws(Rejection) {
                        if let problem = record.problem { throw problem }
                        let row = try parser.parse(padded: text)
                        source.id = String(decoding: row.id, as: UTF8.self)
                        guard case .conversation(let conversation) = row.content else {
                            throw Rejection(.notAConversation, "has tokens, and not the messages that a server answers")
                        }
                        let plan = try AnswerPlan(conversation, turns)
                        guard let ticket = job.begin(source) else { continue }
                        workers.submit(Question(key: source.key, plan: plan), ticket: ticket)
                    } catch {
                        guard let ticket = job.begin(source) else { continue }
                        try Self.fail(job, ticket, error)
                    }
                }
            }
            bytesRead = batch.bytesRead
        }
        while !workers.isEmpty {
            try Interrupt.check()
            try collect()
        }
    }

    private static func fail(_ job: RegenerationJob, _ ticket: Int, _ rejection: Rejection) throws {
        try job.end(ticket, .failed("\(rejection.reason.rawValue): \(rejection.detail)"))
    }

    /// Of a record that isn't kept in memory, where it stands is known.
    private static func digest(_ record: RecordBatch.Record, _ text: UnsafeRawBufferPointer) -> Digest {
        text.isEmpty ? Digest(of: "record at \(record.offset)") : Digest(of: text)
    }

    /// - Throws: `DatasetError` if all of many records have failed: that has a reason which isn't theirs.
    private func expectAnyAnswer(_ job: RegenerationJob) throws {
        guard job.newAnswers == 0, job.written == 0, job.failed >= Self.mostFailures else { return }
        throw DatasetError(
            path: dataPaths.joined(separator: ", "),
            message:
                "none of the first \(job.failed) records could be answered; see the failures beside the output, and "
                + "run it again with --retry-failures")
    }
}
