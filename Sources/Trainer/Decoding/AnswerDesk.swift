import Shared

/// What the first rank does for all groups: it reads records, deals them out, and gives their answers to the job.
final class AnswerDesk {
    let job: RegenerationJob
    private let samples: StoreSamples
    private let limits: AnswerSequence.Limits
    private let vocabSize: Int
    /// Records that each group has and hasn't answered.
    private var outstanding: [Int]
    /// Records of a group at most: those that it answers at a time, and some that wait for their places.
    private let most: Int
    private var keys = RecordKeys()
    private var next = 0
    /// The number and the group of each record that is dealt out, by ticket.
    private var dealt: [Int: (index: Int, group: Int)] = [:]
    /// A record that is dealt out.
    struct Dealt {
        /// Its number in the store.
        let index: Int
        let ticket: Int
        /// Which of the records of equal prompts it is.
        let copy: Int

        init(index: Int, ticket: Int, copy: Int) { (self.index, self.ticket, self.copy) = (index, ticket, copy) }

        /// What `message` says.
        init(_ message: ArraySlice<Int32>) {
            let numbers = message.map(Int.init)
            self.init(index: numbers[0], ticket: numbers[1], copy: numbers[2])
        }

        /// What a group is told of it.
        var message: [Int32] { [index, ticket, copy].map(Int32.init) }
    }

    /// - Parameters:
    ///   - groups: Data-parallel groups.
    ///   - sequences: That each decodes at a time.
    init(
        _ job: RegenerationJob, _ samples: StoreSamples, _ limits: AnswerSequence.Limits, vocabSize: Int, groups: Int,
        sequences: Int
    ) {
        (self.job, self.samples, self.limits, self.vocabSize) = (job, samples, limits, vocabSize)
        outstanding = [Int](repeating: 0, count: groups)
        most = sequences + max(4, sequences / 2)
    }

    /// Records of which something is known: answered, failed, or left out, in this run or before.
    var done: Int { next - dealt.count }

    /// Whether there is nothing left to deal out or to wait for.
    var isDone: Bool { next == samples.count && dealt.isEmpty }

    /// Records for groups that have fewer than they may have.
    func deal() throws -> [(group: Int, record: Dealt)] {
        var records: [(group: Int, record: Dealt)] = []
        while next < samples.count, job.canBegin,
            let group = outstanding.indices.min(by: { outstanding[$0] < outstanding[$1] }), outstanding[group] < most
        {
            let index = next
            next += 1
            // A damaged store ends the run: without its tokens a record has no key.
            let sample = try samples.sample(at: index)
            let source = try samples.source(at: index, key: keys.next(sample.promptDigest))
            guard let ticket = job.begin(source) else { continue }
            if let reason = problem(sample) {
                try job.end(ticket, .failed(reason))
                continue
            }
            dealt[ticket] = (index, group)
            outstanding[group] += 1
            records.append((group, Dealt(index: index, ticket: ticket, copy: source.key.copy)))
        }
        return records
    }

    /// Why a record can't be answered.
    private func problem(_ sample: Sample) -> String? {
        guard let mark = sample.lossMask.firstIndex(of: true) else { return "has nothing to answer" }
        guard mark + 1 < limits.longest else {
            return "has a prompt of \(mark + 1) tokens, which leaves no room for an answer within \(limits.longest)"
        }
        guard let stray = sample.inputIDs.first(where: { !(0..<vocabSize ~= Int($0)) }) else { return nil }
        return "has the token \(stray), which isn't below the target's vocab_size, \(vocabSize)"
    }

    // MARK: - Answers

    /// What the first rank is told of an answered record: its ticket, the number of its answers, and of each how many tokens
    /// it has, whether it is finished, and these; or of one that failed -1 instead.
    static func message(_ sequence: AnswerSequence) -> [Int32] {
        guard !sequence.hasFailed else { return [Int32(sequence.record.ticket), -1] }
        return [Int32(sequence.record.ticket), Int32(sequence.answers.count)]
            + sequence.answers.flatMap { [Int32($0.tokens.count), $0.isFinished ? 1 : 0] + $0.tokens }
    }

    /// Gives a record's answers to the job.
    func take(_ message: ArraySlice<Int32>) throws {
        var words = message
        let (ticket, count) = (Int(words.removeFirst()), words.removeFirst())
        let answers = (0..<max(0, count)).map { _ in
            let (length, isFinished) = (Int(words.removeFirst()), words.removeFirst() == 1)
            defer { words = words.dropFirst(length) }
            return AnswerSequence.FinishedAnswer(tokens: Array(words.prefix(length)), isFinished: isFinished)
        }
        guard let (index, group) = dealt.removeValue(forKey: ticket) else {
            preconditionFailure("an answer to a record that wasn't dealt out")
        }
        outstanding[group] -= 1
        guard count >= 0 else {
            return try job.end(
                ticket, .failed("what the target makes of it is no number (NaN): its weights or its numbers overflow"))
        }
        let sample = try samples.sample(at: index).answered(by: answers, limits.history)
        try job.end(
            ticket,
            .answered(
                [
                    ("input_ids", .array(sample.inputIDs.map { .int(Int($0)) })),
                    ("loss_mask", .array(sample.lossMask.map { .int($0 ? 1 : 0) })),
                ], answers.map { Answer(ids: $0.tokens, isFinished: $0.isFinished, limits.history) }))
    }
}
