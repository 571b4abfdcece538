import Shared

/// Which records of a dataset are used, and for what: decided in one pass over it, before anything is written.
///
/// In this order: what can't be read or isn't wanted is left out, then copies of earlier records, then those whose question
/// is in other data, then what is more than a file's cap, its share by weight or all files' most; of what is left, questions
/// are held out.
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
        /// In which proportions records are drawn; nil for any.
        var weights: SourceWeights?
        /// The most records of all.
        var most: Int?
        /// The share of different questions that is held out.
        var heldOut = 0.0
        var seed = 0
        var filter = RecordFilter.Settings()
        var roles = RoleNames()
        var largestRecord = DatasetReader.defaultLargestRecord
    }

    enum Fate: String, CaseIterable {
        case train, heldOut = "held out", unreadable, failed = "failed the filter", filtered, duplicate,
            nearDuplicate = "near duplicate"
        case contaminated, overCap = "over its file's cap", overShare = "over its share", notDrawn = "not drawn"
    }

    private(set) var fates: [Fate] = []
    /// How many records of each file became what.
    private(set) var counts: [[Fate: Int]]
    /// The source by weight that had too few records for more of all.
    private(set) var scarceSource: String?
    /// Where the first record is that can't be read or filtered, and why.
    private(set) var firstProblem: String?
    /// The other data, if there are any.
    private(set) var others: OtherQuestions?

    private struct Candidate {
        let number: Int
        let file: Int
        let rank: UInt64
        let question: Digest
    }

    init(_ paths: [String], _ settings: Settings) throws {
        if !settings.decontaminateBy.isEmpty { others = try OtherQuestions(settings) }
        let unwanted = others?.digests ?? []
        var (seen, near, keys) = (Set<Digest>(), NearDuplicates(), RecordKeys())
        var candidates: [Candidate] = []
        var (fates, problem, filter) = ([Fate](), String?.none, try RecordFilter(settings.filter))
        var files: [Int] = []
        try Self.forEachRow(paths, settings) { file, line, row, _ in
            files.append(file)
            func leaveOut(_ fate: Fate, _ reason: String) {
                if problem == nil { problem = "\(paths[file]):\(line): \(reason)" }
                fates.append(fate)
            }
            switch row {
            case .failure(let rejection):
                leaveOut(.unreadable, "\(rejection.reason.rawValue): \(rejection.detail)")
            case .success((let row, let value)):
                let (content, question) = (row.contentDigest, row.questionDigest)
                let isWanted: Bool
                do throws(RecordFilter.Failure) {
                    isWanted = try filter.wants(row, value)
                } catch {
                    return leaveOut(.failed, error.message)
                }
                var fate = Fate.train
                if !isWanted {
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
        scarceSource = try Self.draw(candidates, settings, &fates)
        self.fates = fates
        counts = paths.map { _ in [:] }
        for (file, fate) in zip(files, fates) { counts[file][fate, default: 0] += 1 }
    }

    /// - Returns: The source that had too few records for more, if the proportions are why there aren't more.
    /// - Throws: `DatasetError` if a source with a weight has no records to draw.
    private static func draw(_ candidates: [Candidate], _ settings: Settings, _ fates: inout [Fate]) throws -> String? {
        var perFile: [Int: Int] = [:]
        var ranked: [Candidate] = []
        for candidate in candidates.sorted(by: { ($0.rank, $0.number) < ($1.rank, $1.number) }) {
            if let cap = settings.caps[candidate.file], perFile[candidate.file, default: 0] >= cap {
                fates[candidate.number] = .overCap
            } else {
                perFile[candidate.file, default: 0] += 1
                ranked.append(candidate)
            }
        }
        var scarce: String?
        if let weights = settings.weights {
            let draw = weights.draw(ranked.map(\.file))
            scarce = weights.sources[draw.scarce].name
            guard ranked.contains(where: { weights.ofFile[$0.file] == draw.scarce }) else {
                throw DatasetError(
                    path: scarce ?? "",
                    message: "has no record left to draw, so that --weight's proportions can't be had")
            }
            for candidate in ranked { fates[candidate.number] = .overShare }
            ranked = draw.order.map { ranked[$0] }
        }
        let most = settings.most ?? .max
        for candidate in ranked.dropFirst(most) { fates[candidate.number] = .notDrawn }
        for candidate in ranked.prefix(most) {
            let hash = Digest(of: "\(settings.seed) \(candidate.question.hex)").low
            let isHeldOut = Double(hash >> 11) * 0x1p-53 < settings.heldOut
            fates[candidate.number] = isHeldOut ? .heldOut : .train
        }
        return ranked.count > most ? nil : scarce
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
