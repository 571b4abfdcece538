/// The files of a run that makes answers: what is in them, in which order, and how a later run continues them.
///
/// `OUTPUT` gets a line for each answered record, `OUTPUT.failures.jsonl` one for each other, and `OUTPUT.job.json` has the
/// settings that shape answers, which a run that continues must share. Records are begun in the dataset's order, end in any,
/// and are written in the order in which they were begun; at most `lookAhead` wait for an earlier one. A record that is in
/// one of both files is done: it is known by its key and not by its number. One thread uses a job.
public final class RegenerationJob {
    /// The most records that are begun and not written.
    public static let lookAhead = 4096
    /// Bytes and seconds after which lines are written and synced.
    private static let (mostPending, syncInterval) = (1 << 20, Duration.seconds(1))

    private let options: RegenerationOptions
    private let output: AppendedLines
    private let failures: AppendedLines
    private var done: Set<RecordKey> = []
    /// Records that were begun and not written, by ticket, and what became of those that have ended.
    private var sources: [Int: RecordSource] = [:]
    private var outcomes: [Int: RecordOutcome] = [:]
    private var (firstTicket, nextTicket) = (0, 0)
    private var lastSync = ContinuousClock.now

    /// Records of the dataset that were asked for in this run.
    public private(set) var read = 0
    /// Those of them that were done before it.
    public private(set) var alreadyDone = 0
    /// Records in each of the files, of this run and those before it.
    public private(set) var (written, failed, leftOut) = (0, 0, 0)
    /// Answers of this run and their tokens, for its rate.
    public private(set) var (newAnswers, newTokens) = (0, 0)

    /// Begins a run, or continues an earlier one.
    ///
    /// - Parameters:
    ///   - dataPaths: What is answered, of which nothing is written over.
    ///   - settings: What answers depend on.
    /// - Throws: `RegenerationError` if the files are data, of other settings or of nobody known, or in use.
    public init(_ options: RegenerationOptions, of dataPaths: [String], settings: [OptionSetting]) throws {
        self.options = options
        try options.expectApart(from: dataPaths)
        let path = options.output
        let settings = settings + options.given.filter { $0.name == "--leave-out" }
        output = try AppendedLines(path)
        failures = try AppendedLines(options.failuresOutput)
        if options.force {
            try output.clear()
            try failures.clear()
        }
        try JobSettings(settings).claim(options.settingsOutput, output: path, isNew: output.isEmpty && failures.isEmpty)
        try output.readLines { line in
            try add(line["source"], line: line)
            written += 1
        }
        if options.retryFailures { try forgetFailures() }
        try failures.readLines { line in
            try add(line, line: line)
            if line["left_out"] == nil { failed += 1 } else { leftOut += 1 }
        }
    }

    private func add(_ source: JSONValue?, line: JSONValue) throws {
        guard let text = source?["key"]?.string, let key = RecordKey(text) else {
            throw RegenerationError(options.output, "has a line without the key of its record; it is of something else")
        }
        guard done.insert(key).inserted else {
            throw RegenerationError(options.output, "and its failures have the record \(key) more than once")
        }
    }

    /// Keeps of the failures only what was left out.
    private func forgetFailures() throws {
        var kept: [JSONText] = []
        try failures.readLines { if $0["left_out"] != nil { kept.append(JSONText($0)) } }
        try failures.clear()
        for line in kept { failures.append(line) }
        try failures.sync()
    }

    /// Whether fewer records wait than may.
    public var canBegin: Bool { nextTicket - firstTicket < Self.lookAhead }

    /// Says that a record comes next.
    ///
    /// - Returns: What to end it by; nil if an earlier run has done it.
    public func begin(_ source: RecordSource) -> Int? {
        read += 1
        guard done.insert(source.key).inserted else {
            alreadyDone += 1
            return nil
        }
        let ticket = nextTicket
        nextTicket += 1
        sources[ticket] = source
        return ticket
    }

    /// Says what became of a record, and writes what can be written.
    ///
    /// - Throws: `FileError` if it can't be written; the records before it are.
    public func end(_ ticket: Int, _ outcome: RecordOutcome) throws {
        outcomes[ticket] = outcome
        if case .answered(_, let answers) = outcome {
            newAnswers += answers.count
            newTokens += answers.reduce(0) { $0 + $1.tokens }
        }
        while let outcome = outcomes.removeValue(forKey: firstTicket),
            let source = sources.removeValue(forKey: firstTicket)
        {
            firstTicket += 1
            write(source, outcome)
        }
        let now = ContinuousClock.now
        if output.pendingBytes + failures.pendingBytes >= Self.mostPending || now - lastSync >= Self.syncInterval {
            try sync()
        }
    }

    private func write(_ source: RecordSource, _ outcome: RecordOutcome) {
        switch outcome {
        case .failed(let reason):
            failed += 1
            failures.append(.object(source.location + [("reason", .string(reason))]))
        case .answered(let contents, let answers):
            let marks = AnswerMark.allCases.filter { mark in answers.contains { $0.marks.contains(mark) } }
            if let mark = marks.first(where: options.leaveOut.contains) {
                leftOut += 1
                failures.append(
                    .object(
                        source.location + [
                            ("reason", .string("an answer is \(mark)")), ("left_out", .string(mark.rawValue)),
                        ]))
                return
            }
            written += 1
            var members: [(String, JSONText)] = source.id.isEmpty ? [] : [("id", .string(source.id))]
            members += contents
            members.append(("finished", .bool(answers.allSatisfy(\.isFinished))))
            let shown = marks.filter { $0 != .cut }
            if !shown.isEmpty { members.append(("marks", .array(shown.map { .string($0.rawValue) }))) }
            members.append(("answers", .array(answers.map(\.json))))
            members.append(("source", .object(source.location)))
            output.append(.object(members))
        }
    }

    /// Waits until what can be written is on the disk.
    ///
    /// - Throws: `RegenerationError` if there is no room, else `FileError`; the files keep whole lines only.
    public func sync() throws {
        do throws(FileError) {
            try output.sync()
            try failures.sync()
        } catch {
            guard error.isForWantOfRoom else { throw error }
            throw RegenerationError(
                "\(error)", "what it has are whole lines; make room, and run the same command again to continue")
        }
        lastSync = .now
    }

    /// Ends the run, and reports on the whole of its files.
    public func finish() throws -> RegenerationReport {
        precondition(sources.isEmpty, "a record was begun and not ended")
        try sync()
        return try RegenerationReport(output: output.path, failures: failures.path, read: read)
    }
}

/// Why answers can't be written to a file.
public struct RegenerationError: Error, Equatable, CustomStringConvertible {
    public let path: String
    public let message: String
    public var description: String { "\(path): \(message)" }

    public init(_ path: String, _ message: String) { (self.path, self.message) = (path, message) }
}
