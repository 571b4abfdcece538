import Shared

/// Answers all records of a store of prompts, by data-parallel groups that each decode a batch.
///
/// The first rank reads the records, deals them out as groups get through theirs, and writes the answers in the records'
/// order. Groups meet about once a second to hand in answers and to get records; between these moments they run by
/// themselves. Which group answers a record changes nothing about the answer.
final class Regeneration {
    private let grid: ProcessGrid
    private let samples: StoreSamples
    private let batch: ContinuousBatch
    private let limits: AnswerSequence.Limits
    /// The first rank's.
    private let desk: AnswerDesk?

    /// - Parameter desk: On the first rank.
    init(
        _ samples: StoreSamples, _ batch: ContinuousBatch, _ limits: AnswerSequence.Limits, _ desk: AnswerDesk?,
        _ grid: ProcessGrid
    ) {
        precondition((desk != nil) == (grid.world.rank == 0))
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
        var finished: [AnswerSequence] = []
        while let steps = try meet(finished, progress) {
            finished.removeAll(keepingCapacity: true)
            for _ in 0..<steps where !batch.isIdle { finished += batch.step() }
        }
        var counts = Counts()
        if grid.tensorParallel.rank == 0 { (counts.rows, counts.tokens) = (batch.rows, batch.tokens) }
        return counts.summed(over: grid.world)
    }

    /// Hands in answers and gets records.
    ///
    /// - Returns: How many steps groups take before they meet again; nil if there is nothing left to do.
    private func meet(_ finished: [AnswerSequence], _ progress: (Int, Int) -> Void) throws -> Int? {
        let answers = gathered(finished)
        var plan: [Double] = []
        if let desk {
            try desk.take(answers)
            progress(desk.done, desk.job.newTokens)
            plan = try desk.deal()
        }
        do {
            try grid.world.stopIfInterrupted()
        } catch {
            try desk?.job.sync()
            throw error
        }
        let count = Int(grid.world.sum([Double(plan.count)])[0])
        plan = grid.world.sum(desk == nil ? [Double](repeating: 0, count: count) : plan)
        guard plan[0] > 0 else { return nil }
        let group = grid.world.rank / grid.tpSize
        for start in stride(from: 1, to: plan.count, by: AnswerDesk.planFields) where Int(plan[start]) == group {
            let sample = try samples.sample(at: Int(plan[start + 1]))
            let key = RecordKey(sample.promptDigest, copy: Int(plan[start + 3]))
            batch.add(.init(ticket: Int(plan[start + 2]), key: key, sample: sample))
        }
        return Int(plan[0])
    }

    /// All groups' answers on the first rank, in `AnswerDesk`'s words; nothing on the others.
    private func gathered(_ finished: [AnswerSequence]) -> [Int32] {
        let world = grid.world
        let own = grid.tensorParallel.rank == 0 ? finished.flatMap(AnswerDesk.words) : []
        guard world.size > 1 else { return own }
        var counts = [Double](repeating: 0, count: world.size)
        counts[world.rank] = Double(own.count)
        let all = world.sum(counts).map { Int($0) }
        let total = all.reduce(0, +)
        guard total > 0 else { return [] }
        // Floats carry the words' bits.
        let send = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, own.count))
        let receive = UnsafeMutableBufferPointer<Float>.allocate(capacity: total)
        defer {
            send.deallocate()
            receive.deallocate()
        }
        send.initialize(repeating: 0)
        receive.initialize(repeating: 0)
        for (index, word) in own.enumerated() { send[index] = Float(bitPattern: UInt32(bitPattern: word)) }
        guard let from = send.baseAddress, let to = receive.baseAddress else { return [] }
        world.allToAll(
            from, (0..<world.size).map { $0 == 0 ? own.count : 0 }, into: to,
            world.rank == 0 ? all : all.map { _ in 0 })
        return world.rank == 0 ? receive.map { Int32(bitPattern: $0.bitPattern) } : []
    }
}
