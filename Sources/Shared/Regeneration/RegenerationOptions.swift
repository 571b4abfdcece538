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

    public func validate() throws(OptionsError) {
        if force && retryFailures { throw .rule("--retry-failures has no effect beside --force") }
    }
}
