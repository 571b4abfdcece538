/// Where answers go, and which of them.
public struct RegenerationOptions: Options {
    @Option(
        "Where to write the answers, a line of JSON for each record; FILE.failures.jsonl gets the records without, and why.",
        value: "FILE")
    public var output: String
    @Option("Records that are left out if any of their answers is so.") public var leaveOut: [AnswerMark] = []
    @Flag("Try the records again that failed in an earlier run; their answers are appended.") public var retryFailures
    @Flag("Begin again: discard the answers that are there.") public var force

    public init() {}

    /// What gets the records without answers, and the settings that answers were made with.
    var failuresOutput: String { "\(output).failures.jsonl" }
    var settingsOutput: String { "\(output).job.json" }

    /// - Throws: `RegenerationError` if something that is written is read as data, or will be when the run continues.
    func expectApart(from dataPaths: [String]) throws(RegenerationError) {
        for file in [output, failuresOutput, settingsOutput] {
            guard let path = dataPaths.first(where: { StoreLocation.stands($0, for: file) }) else { continue }
            throw RegenerationError(
                file, "would be read as data, as --train-data-path has \(path); write the answers to another place")
        }
    }

    public func validate() throws(OptionsError) {
        if force && retryFailures { throw .rule("--retry-failures has no effect beside --force") }
    }
}
