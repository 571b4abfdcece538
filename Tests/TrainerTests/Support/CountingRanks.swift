import Synchronization

@testable import Trainer

/// Ranks whose exchanges are counted, and may end late and in another order than they began.
final class CountingRanks: Communicator, @unchecked Sendable {
    private let ranks: any Communicator
    private let delays: [Int]
    private let counts: Counts

    /// Of a rank, in all of its communicators.
    private final class Counts: @unchecked Sendable {
        var started = 0
        var pending = 0
        var most = 0
        var bytes = 0
        /// Calls of `hasEnded` by exchange.
        var tests: [Int] = []
    }

    /// - Parameter delays: How often an exchange is asked before it has ended, one after the other.
    convenience init(_ ranks: any Communicator, delays: [Int] = [0]) {
        self.init(ranks, delays, Counts())
    }

    private init(_ ranks: any Communicator, _ delays: [Int], _ counts: Counts) {
        (self.ranks, self.delays, self.counts) = (ranks, delays, counts)
    }

    /// Exchanges that were started, the most that were under way at a time, and what they sent.
    var started: Int { counts.started }
    var mostPending: Int { counts.most }
    var bytesSent: Int { counts.bytes }
    var tests: [Int] { counts.tests }

    var rank: Int { ranks.rank }
    var size: Int { ranks.size }
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) { ranks.allReduceSum(values) }
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) { ranks.allReduceSum(values) }
    func allReduceMax(_ values: UnsafeMutableBufferPointer<Double>) { ranks.allReduceMax(values) }
    func allGather(_ values: UnsafeBufferPointer<Float>, into all: UnsafeMutableBufferPointer<Float>) {
        ranks.allGather(values, into: all)
    }
    func allToAll(
        _ send: UnsafeMutablePointer<Float>, _ sendCounts: [Int], into receive: UnsafeMutablePointer<Float>,
        _ receiveCounts: [Int]
    ) {
        ranks.allToAll(send, sendCounts, into: receive, receiveCounts)
    }
    func barrier() { ranks.barrier() }
    func split(color: Int) -> any Communicator { CountingRanks(ranks.split(color: color), delays, counts) }
    func splitByMachine() -> any Communicator { CountingRanks(ranks.splitByMachine(), delays, counts) }

    func startExchange(_ exchange: Exchange) -> any PendingExchange {
        _ = ranks.startExchange(exchange)
        let late = Late(counts, index: counts.started, delay: delays[counts.started % delays.count])
        counts.started += 1
        counts.tests.append(0)
        counts.pending += 1
        counts.most = Swift.max(counts.most, counts.pending)
        counts.bytes += exchange.sendBlocks.reduce(0) { $0 + $1.count } * exchange.type.byteCount
        return late
    }

    private final class Late: PendingExchange {
        private let counts: Counts
        private let index: Int
        private var delay: Int
        private var isOver = false

        init(_ counts: Counts, index: Int, delay: Int) {
            (self.counts, self.index, self.delay) = (counts, index, delay)
        }

        func hasEnded() -> Bool {
            counts.tests[index] += 1
            delay -= 1
            if delay < 0 { wait() }
            return isOver
        }

        func wait() {
            if !isOver { counts.pending -= 1 }
            isOver = true
        }
    }
}
