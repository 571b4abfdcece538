import Shared

/// Which records of a dataset are used, and for what: decided in one pass over it, before anything is written.
///
/// In this order: what can't be read or isn't wanted is left out, then copies of earlier records, then those whose question
/// is in other data, then what is more than a file's cap or all files' most; of what is left, questions are held out.
/// What is drawn is drawn by a hash of the seed and the record's contents, and what is held out by one of the seed and the
/// question: so neither depends on order, and a dataset that grows keeps its parts.
struct RecordSelection {
    enum Deduplication: String, CaseIterable, OptionValue {
        /// The same messages.
        case exact
        /// Nearly the same questions; see `NearDuplicates`.
        case near
    }

    struct Settings: Sendable {
        var deduplicates: Deduplication?
        /// Other data, of whose questions none is wanted.
        var decontaminateBy: [String] = []
        /// The most records of a file, by the file's number.
        var caps: [Int: Int] = [:]
        /// The most records of all.
        var most: Int?
        /// The share of different questions that is held out.
        var heldOut = 0.0
        var seed = 0
        var filter = RecordFilter()
        var roles = RoleNames()
        var largestRecord = DatasetReader.defaultLargestRecord
    }

    enum Fate: String, CaseIterable {
        case train, heldOut = "held out", unreadable, filtered, duplicate, nearDuplicate = "near duplicate"
        case contaminated, overCap = "over its file's cap", notDrawn = "not drawn"
    }

    private(set) var fates: [Fate] = []
    /// How many records of each file became what.
    private(set) var counts: [[Fate: Int]]
    /// Where the first record is that can't be read, and why.
    private(set) var firstProblem: String?

    private struct Candidate {
        let number: Int
        let file: Int
        let rank: UInt64
        let question: Digest
    }

    init(_ paths: [String], _ settings: Settings) throws {
        var unwanted: Set<Digest> = []
        try Self.forEachRow(settings.decontaminateBy, settings) { _, _, row, _ in
            if case .success((let row, _)) = row { unwanted.insert(row.questionDigest) }
        }
        var (seen, near, keys) = (Set<Digest>(), NearDuplicates(), RecordKeys())
        var candidates: [Candidate] = []
        var (fates, problem) = ([Fate](), String?.none)
        var files: [Int] = []
        try Self.forEachRow(paths, settings) { file, line, row, _ in
            files.append(file)
            switch row {
            case .failure(let rejection):
                if problem == nil {
                    problem = "\(paths[file]):\(line): \(rejection.reason.rawValue): \(rejection.detail)"
                }
                fates.append(.unreadable)
            case .success((let row, let value)):
                let (content, question) = (row.contentDigest, row.questionDigest)
                var fate = Fate.train
                if !settings.filter.wants(row, value) {
                    fate = .filtered
                } else if settings.deduplicates != nil, !seen.insert(content).inserted {
                    fate = .duplicate
                } else if unwanted.contains(question) {
                    fate = .contaminated
                } else if settings.deduplicates == .near, let words = row.userWords, near.add(words) != nil {
                    fate = .nearDuplicate
                }
                if fate == .train {
                    let rank = Digest(of: "\(settings.seed) \(keys.next(content))").high
                    candidates.append(Candidate(number: fates.count, file: file, rank: rank, question: question))
                }
                fates.append(fate)
            }
        }
        firstProblem = problem
        Self.draw(candidates, settings, &fates)
        self.fates = fates
        counts = paths.map { _ in [:] }
        for (file, fate) in zip(files, fates) { counts[file][fate, default: 0] += 1 }
    }

    private static func draw(_ candidates: [Candidate], _ settings: Settings, _ fates: inout [Fate]) {
        let ranked = candidates.sorted { ($0.rank, $0.number) < ($1.rank, $1.number) }
        var (perFile, drawn) = ([Int: Int](), 0)
        for candidate in ranked {
            let (file, number) = (candidate.file, candidate.number)
            if let cap = settings.caps[file], perFile[file, default: 0] >= cap {
                fates[number] = .overCap
            } else if let most = settings.most, drawn >= most {
                fates[number] = .notDrawn
            } else {
                perFile[file, default: 0] += 1
                drawn += 1
                let hash = Digest(of: "\(settings.seed) \(candidate.question.hex)").low
                if Double(hash >> 11) * 0x1p-53 < settings.heldOut { fates[number] = .heldOut }
            }
        }
    }

    /// Every record, by its file and line, with what it is and its text, in one line.
    ///
    /// Records of other fates than `fates` says can't come up in a second pass: the files are compared before and after.
    static func forEachRow(
        _ paths: [String], _ settings: Settings,
        _ body: (Int, Int, Result<(SourceRow, JSONValue), Rejection>, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var reader = DatasetReader(paths, largestRecord: settings.largestRecord)
        let (json, parser) = (
            JSONParser(takesNaN: true),
            ConversationParser(isPreformatted: false, needsAnswer: false, roles: settings.roles)
        )
        while let batch = try reader.next() {
            try Interrupt.check()
            try batch.bytes.withUnsafeBytes { bytes in
                for record in batch.records {
                    let text = UnsafeRawBufferPointer(rebasing: bytes[record.range])
                    let row = Result { () throws(Rejection) in
                        if let problem = record.problem { throw problem }
                        let value: JSONValue
                        do throws(JSONError) {
                            value = try json.parse(padded: text)
                        } catch {
                            throw Rejection(.malformed, error.message)
                        }
                        return (try parser.row(value), value)
                    }
                    try body(batch.file, record.line, row, text)
                }
            }
        }
    }
}

/// Which records are wanted by what they are.
struct RecordFilter: Sendable {
    /// How many questions of the user's a conversation has.
    var turns = 0...Int.max
    /// Fields of the record and the values that they must have, as text or JSON.
    var fields: [(name: String, value: String)] = []

    func wants(_ row: SourceRow, _ value: JSONValue) -> Bool {
        if turns != 0...Int.max {
            guard case .conversation(let conversation) = row.content,
                turns.contains(conversation.messages.count { $0.role == .user })
            else { return false }
        }
        return fields.allSatisfy { field in
            guard let own = value[field.name] else { return false }
            return JSONText(own).plain == field.value
        }
    }
}
