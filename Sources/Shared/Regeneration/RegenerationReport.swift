/// What the files of a run came to: counted from their contents, so the same after any number of restarts.
public struct RegenerationReport: Sendable {
    /// Records of the dataset.
    public let read: Int
    public private(set) var written = 0
    public private(set) var failed = 0
    /// Records that were left out, by mark.
    public private(set) var leftOut: [AnswerMark: Int] = [:]
    public private(set) var answers = 0
    public private(set) var tokens = 0
    public private(set) var finished = 0
    public private(set) var empty = 0
    public private(set) var looping = 0
    /// Answers that an earlier one equals.
    public private(set) var duplicates = 0
    /// How many answers have how many tokens.
    private var lengths: [Int: Int] = [:]

    init(output: String, failures: String, read: Int) throws {
        self.read = read
        var seen: Set<Digest> = []
        try JSONLineReader.read(output) { _, _, line in
            let line = try line.get()
            written += 1
            let own = (line["answers"]?.elements).map { $0.compactMap(Answer.init) } ?? []
            for answer in own { add(answer) }
            for digest in Self.answerDigests(line, own.count) where !seen.insert(digest).inserted { duplicates += 1 }
        }
        try JSONLineReader.read(failures) { _, _, line in
            if let mark = try line.get()["left_out"]?.string {
                if let mark = AnswerMark(rawValue: mark) { leftOut[mark, default: 0] += 1 }
            } else {
                failed += 1
            }
        }
    }

    private mutating func add(_ answer: Answer) {
        answers += 1
        tokens += answer.tokens
        if answer.isFinished { finished += 1 }
        if answer.isEmpty { empty += 1 }
        if answer.isLooping { looping += 1 }
        lengths[answer.tokens, default: 0] += 1
    }

    /// The digests of a record's answers that aren't empty: its last messages of the assistant, or its supervised tokens.
    private static func answerDigests(_ line: JSONValue, _ count: Int) -> [Digest] {
        if let messages = line["messages"] {
            let texts = messages.elements.filter { $0["role"]?.string == "assistant" }.suffix(count)
            return texts.compactMap { message in
                guard let text = message["content"]?.utf8, !text.isEmpty else { return nil }
                return Digest(of: UnsafeRawBufferPointer(text))
            }
        }
        guard let ids = line["input_ids"], let mask = line["loss_mask"] else { return [] }
        var (digests, run) = ([Digest](), [Int32]())
        func end() {
            if run.count > 1 { digests.append(run.withUnsafeBytes { Digest(of: $0) }) }
            run.removeAll(keepingCapacity: true)
        }
        for (id, mark) in zip(ids.elements, mask.elements) {
            if mark.int == 1 { run.append(Int32(truncatingIfNeeded: id.int ?? 0)) } else { end() }
        }
        end()
        return digests
    }

    /// The fewest tokens that this share of the answers doesn't exceed.
    private func quantile(_ share: Double) -> Int {
        let wanted = Int((share * Double(answers)).rounded(.up))
        var count = 0
        for (length, number) in lengths.sorted(by: { $0.key < $1.key }) {
            count += number
            if count >= wanted { return length }
        }
        return 0
    }

    private var leftOutCount: Int { leftOut.values.reduce(0, +) }
    private var meanTokens: Double { answers == 0 ? 0 : Double(tokens) / Double(answers) }
    private func percent(_ count: Int) -> String {
        fixed(answers == 0 ? 0 : 100 * Double(count) / Double(answers), 1) + "%"
    }

    /// For people.
    public var text: String {
        let reasons = AnswerMark.allCases.compactMap { mark in leftOut[mark].map { "\($0) \(mark)" } }
        let left = leftOut.isEmpty ? "0 left out" : "\(leftOutCount) left out (\(reasons.joined(separator: ", ")))"
        var text = "records       \(read) read: \(written) written, \(failed) failed, \(left)\n"
        let rest = written + failed + leftOutCount - read
        if rest > 0 { text += "              \(rest) of them are of records that the dataset no longer has\n" }
        text += "answers       \(answers), \(shortNumber(Double(tokens))) tokens\n"
        text += "lengths       mean \(fixed(meanTokens, 1)), median \(quantile(0.5)), 95% up to \(quantile(0.95)), "
        text += "longest \(quantile(1))\n"
        text += "finished      \(percent(finished)); cut \(percent(answers - finished))\n"
        text += "marked        empty \(percent(empty)), looping \(percent(looping))\n"
        text += "duplicates    \(percent(duplicates)) equal an earlier answer"
        return text
    }

    public var json: JSONText {
        func share(_ count: Int) -> JSONText { .number(answers == 0 ? 0 : Double(count) / Double(answers)) }
        return .object([
            ("read", .int(read)), ("written", .int(written)), ("failed", .int(failed)),
            ("left_out", .object(AnswerMark.allCases.map { ($0.rawValue, .int(leftOut[$0] ?? 0)) })),
            ("answers", .int(answers)), ("tokens", .int(tokens)), ("mean_tokens", .number(meanTokens)),
            ("median_tokens", .int(quantile(0.5))), ("p95_tokens", .int(quantile(0.95))),
            ("longest_tokens", .int(quantile(1))), ("finished_share", share(finished)), ("empty_share", share(empty)),
            ("looping_share", share(looping)), ("duplicate_share", share(duplicates)),
        ])
    }
}
