import Shared

/// What other data ask: the questions that no selected record has.
struct OtherQuestions {
    private(set) var digests: Set<Digest> = []
    private(set) var read = 0
    private(set) var unreadable = 0
    /// Where the first record is that can't be read, and why.
    private(set) var firstProblem: String?

    /// - Throws: `DatasetError` if none of them can be read: nothing would be left out for them.
    init(_ settings: RecordSelection.Settings) throws {
        let paths = settings.decontaminateBy
        try RecordSelection.forEachRow(paths, settings) { file, line, row, _ in
            read += 1
            switch row {
            case .success((let row, _)): digests.insert(row.questionDigest)
            case .failure(let rejection):
                unreadable += 1
                if firstProblem == nil {
                    firstProblem = "\(paths[file]):\(line): \(rejection.reason.rawValue): \(rejection.detail)"
                }
            }
        }
        guard read > unreadable else {
            throw DatasetError(
                path: paths.joined(separator: ", "),
                message: "has no question that can be read, so that --decontaminate would leave nothing out"
                    + (firstProblem.map { "; first \($0)" } ?? ""))
        }
    }
}
