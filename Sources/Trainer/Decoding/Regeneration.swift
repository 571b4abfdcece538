import Shared

/// Answers all records of a store of prompts, by data-parallel groups that each decode a batch.
///
/// The first rank reads the records, deals them out as groups get through theirs, and writes the answers in the records'
/// order. Groups hand in answers and get records by letters, and wait for none of them while they have something to answer:
/// one that reads a long prompt holds nobody up. Which group answers a record changes nothing about the answer.
final class Regeneration {
    private let grid: ProcessGrid
    private let samples: StoreSamples
    private let batch: ContinuousBatch
    private let limits: AnswerSequence.Limits
    /// The first rank's.
    private let desk: AnswerDesk?
    private let mail: RankMail
    /// When the next letter is due.
    private var due = ContinuousClock.now

    /// Between letters, at least: they have a few records and answers each.
    private static let interval = Duration.milliseconds(50)

    /// The mark of a letter: what the first rank says to all, or one of them to it.
    private enum Mark: Int32 {
        case goOn, done, stop
    }

    /// - Parameter desk: On the first rank.
    init(
        _ samples: StoreSamples, _ batch: ContinuousBatch, _ limits: AnswerSequence.Limits, _ desk: AnswerDesk?,
        _ grid: ProcessGrid
    ) {
        precondition((desk != nil) == (grid.world.rank == 0))
        mail = RankMail(grid.world)
        (self.samples, self.batch, self.limits, self.desk, self.grid) = (samples, batch, limits, desk, grid)
    }

    /// What has been computed, over all groups.
    struct Counts: Summable {
        var rows = 0
        var tokens = 0

        mutating func visitNumbers(_ visit: NumberVisitor) {
            visit(&rows)
            visit(&tokens)
        }
    }

    /// Answers what isn't answered yet.
    ///
    /// Collective: call on all ranks.
    /// - Parameter progress: Called on the first rank, with records that are done and tokens of this run.
    /// - Throws: `Interrupted` on all ranks, if any of them was asked to stop: what was written in order is kept.
    func run(progress: (_ done: Int, _ tokens: Int) -> Void) throws -> Counts {
        var mark = try deal()
        while true {
            for answered in batch.step() where grid.tensorParallel.rank == 0 { try handIn(answered) }
            // The ranks of a group do the same at the same time.
            if mail.isUnderWay, batch.isIdle || isSoForGroup(mail.hasEnded()) {
                let letters = mail.end()
                switch Mark(rawValue: letters[0].mark) {
                case .goOn: try admit(letters[0].messages)
                case .done: return counts()
                case .stop, nil: throw try interruption()
                }
                if let desk {
                    for message in letters.dropFirst().flatMap(\.messages) { try desk.take(message) }
                    progress(desk.done, desk.job.newTokens)
                    mark = letters.contains { $0.mark == Mark.stop.rawValue } ? .stop : try deal()
                }
            }
            if !mail.isUnderWay, batch.isIdle || isSoForGroup(ContinuousClock.now >= due) {
                mail.begin(mark: (Interrupt.isRequested ? .stop : mark).rawValue)
                due = ContinuousClock.now + Self.interval
            }
        }
    }

    private func isSoForGroup(_ isSo: Bool) -> Bool { !grid.tensorParallel.any(!isSo) }

    /// Deals records out, on the first rank.
    private func deal() throws -> Mark {
        guard let desk else { return .goOn }
        for (group, record) in try desk.deal() {
            for rank in group * grid.tpSize..<(group + 1) * grid.tpSize { mail.add(record.message, to: rank) }
        }
        return desk.isDone ? .done : .goOn
    }

    private func handIn(_ answered: AnswerSequence) throws {
        let message = AnswerDesk.message(answered)
        if let desk { try desk.take(message[...]) } else { mail.add(message, to: 0) }
    }

    /// Takes records that the first rank deals out: also to itself by letter, so that all ranks of its group get them in
    /// the same round.
    private func admit(_ messages: [ArraySlice<Int32>]) throws {
        for record in messages.map(AnswerDesk.Dealt.init) {
            let sample = try samples.sample(at: record.index)
            let key = RecordKey(sample.promptDigest, copy: record.copy)
            batch.add(.init(ticket: record.ticket, key: key, sample: sample))
        }
    }

    private func interruption() throws -> Interrupted {
        let error = AgreedInterruption.error()
        try desk?.job.sync()
        return error
    }

    private func counts() -> Counts {
        var counts = Counts()
        if grid.tensorParallel.rank == 0 { (counts.rows, counts.tokens) = (batch.rows, batch.tokens) }
        return counts.summed(over: grid.world)
    }
}
