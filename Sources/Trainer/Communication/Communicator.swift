import Shared

/// Ranks that compute together: every call but `rank` and `size` is made by all of them, in the same order.
///
/// A call that fails logs why and ends all ranks where it fails: none can go on without the others.
///
/// A communicator of one rank is the single-process case; nothing else asks how many there are.
protocol Communicator: Sendable {
    var rank: Int { get }
    var size: Int { get }

    /// Replaces each rank's values by their sum over the ranks.
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>)
    /// As above, in double precision: counts and statistics.
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>)
    /// Replaces each rank's values by the largest of the ranks'.
    func allReduceMax(_ values: UnsafeMutableBufferPointer<Double>)
    /// Concatenates every rank's values, which are equally many, into `all`.
    func allGather(
        _ values: UnsafeBufferPointer<Float>, into all: UnsafeMutableBufferPointer<Float>
    )
    /// Sends `sendCounts[r]` values to each rank r and receives `receiveCounts[r]` from it, both in rank order.
    func allToAll(
        _ send: UnsafeMutablePointer<Float>, _ sendCounts: [Int], into receive: UnsafeMutablePointer<Float>,
        _ receiveCounts: [Int]
    )
    /// Starts sending blocks to each rank and receiving blocks from each.
    func startExchange(_ exchange: Exchange) -> any PendingExchange
    /// Returns when all ranks have called it.
    func barrier()
    /// The ranks that give the same color, ordered as here.
    func split(color: Int) -> any Communicator
    /// The ranks on this one's machine, ordered as here.
    func splitByMachine() -> any Communicator
}

/// What isn't the same on all ranks and must be, thrown by all of them.
struct RanksDiffer: Error, CustomStringConvertible {
    let description: String
}

/// What the other ranks throw when `onFirstRank` failed.
struct FailedOnFirstRank: Error, CustomStringConvertible {
    var description: String { "rank 0 failed, and says why" }
}

extension Communicator {
    /// Replaces each rank's matrix by the sum over the ranks.
    func allReduceSum(_ matrix: Matrix) {
        precondition(matrix.isContiguous)
        allReduceSum(UnsafeMutableBufferPointer(start: matrix.start, count: matrix.count))
    }

    /// The sums over the ranks.
    func sum(_ values: [Double]) -> [Double] {
        reduce(values) { allReduceSum($0) }
    }

    /// The largest over the ranks.
    func max(_ values: [Double]) -> [Double] {
        reduce(values) { allReduceMax($0) }
    }

    /// Whether it is so on any rank: what all of them then act upon.
    func any(_ isSo: Bool) -> Bool { max([isSo ? 1 : 0])[0] > 0 }

    /// Whether every rank gives the same number.
    func isSame(_ value: Double) -> Bool {
        let extremes = max([value, -value])
        return extremes[0] == -extremes[1]
    }

    private func reduce(
        _ values: [Double], _ body: (UnsafeMutableBufferPointer<Double>) -> Void
    ) -> [Double] {
        let buffer = UnsafeMutableBufferPointer<Double>.allocate(capacity: values.count)
        defer { buffer.deallocate() }
        _ = buffer.initialize(from: values)
        body(buffer)
        return Array(buffer)
    }
}
