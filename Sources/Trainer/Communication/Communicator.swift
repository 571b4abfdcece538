import Shared

/// Ranks that compute together: every call but `rank` and `size` is made by all of them, in the same order.
///
/// A communicator of one rank is the single-process case; nothing else asks how many there are.
protocol Communicator: Sendable {
    var rank: Int { get }
    var size: Int { get }

    /// Replaces each rank's values by their sum over the ranks.
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) throws(CommunicationError)
    /// As above, in double precision: counts and statistics.
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) throws(CommunicationError)
    /// Replaces each rank's values by the largest of the ranks'.
    func allReduceMax(_ values: UnsafeMutableBufferPointer<Double>) throws(CommunicationError)
    /// Puts every rank's values, which are equally many, one rank's behind the other's, into `all`.
    func allGather(
        _ values: UnsafeBufferPointer<Float>, into all: UnsafeMutableBufferPointer<Float>
    ) throws(CommunicationError)
    /// Sends `sendCounts[r]` values to each rank r and receives `receiveCounts[r]` from it, both in rank order.
    func allToAll(
        _ send: UnsafeMutablePointer<Float>, _ sendCounts: [Int], into receive: UnsafeMutablePointer<Float>,
        _ receiveCounts: [Int]
    ) throws(CommunicationError)
    /// Starts sending blocks to each rank and receiving blocks from each.
    func startExchange(_ exchange: Exchange) throws(CommunicationError) -> any PendingExchange
    /// Returns when all ranks have called it.
    func barrier() throws(CommunicationError)
    /// The ranks that give the same color, ordered as here.
    func split(color: Int) throws(CommunicationError) -> any Communicator
    /// The ranks on this one's machine, ordered as here.
    func splitByMachine() throws(CommunicationError) -> any Communicator
}

/// Why ranks can't compute together.
struct CommunicationError: Error, CustomStringConvertible {
    let operation: String
    let message: String
    var description: String { "\(operation): \(message)" }
}

/// What the other ranks throw when `onFirstRank` failed.
struct FailedOnFirstRank: Error, CustomStringConvertible {
    var description: String { "rank 0 failed, and says why" }
}

extension Communicator {
    /// Replaces each rank's matrix by the sum over the ranks.
    func allReduceSum(_ matrix: Matrix) throws(CommunicationError) {
        precondition(matrix.isContiguous)
        try allReduceSum(UnsafeMutableBufferPointer(start: matrix.start, count: matrix.count))
    }

    /// The sums over the ranks.
    func sum(_ values: [Double]) throws(CommunicationError) -> [Double] {
        try reduce(values) { (buffer) throws(CommunicationError) in try allReduceSum(buffer) }
    }

    /// The largest over the ranks.
    func max(_ values: [Double]) throws(CommunicationError) -> [Double] {
        try reduce(values) { (buffer) throws(CommunicationError) in try allReduceMax(buffer) }
    }

    /// Whether it is so on any rank: what all of them then act upon.
    func any(_ isSo: Bool) throws(CommunicationError) -> Bool { try max([isSo ? 1 : 0])[0] > 0 }

    /// Does on the first rank what only one does.
    ///
    /// - Throws: On all ranks, if it fails: why, on the first; `Interrupted` on all, if it was interrupted.
    func onFirstRank(_ body: () throws -> Void) throws {
        var failure: (any Error)?
        do {
            if rank == 0 { try body() }
        } catch {
            failure = error
        }
        let ends = try max([failure == nil ? 0 : 1, failure is Interrupted ? 1 : 0])
        if ends[1] > 0 { throw AgreedInterruption.error() }
        if ends[0] > 0 { throw failure ?? FailedOnFirstRank() }
    }

    /// Whether every rank gives the same number.
    func isSame(_ value: Double) throws(CommunicationError) -> Bool {
        let extremes = try max([value, -value])
        return extremes[0] == -extremes[1]
    }

    private func reduce(
        _ values: [Double], _ body: (UnsafeMutableBufferPointer<Double>) throws(CommunicationError) -> Void
    ) throws(CommunicationError) -> [Double] {
        let buffer = UnsafeMutableBufferPointer<Double>.allocate(capacity: values.count)
        defer { buffer.deallocate() }
        _ = buffer.initialize(from: values)
        try body(buffer)
        return Array(buffer)
    }
}

/// One process by itself.
struct SingleProcess: Communicator {
    var rank: Int { 0 }
    var size: Int { 1 }
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) {}
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) {}
    func allReduceMax(_ values: UnsafeMutableBufferPointer<Double>) {}
    func allGather(_ values: UnsafeBufferPointer<Float>, into all: UnsafeMutableBufferPointer<Float>) {
        _ = all.update(from: values)
    }
    func allToAll(
        _ send: UnsafeMutablePointer<Float>, _ sendCounts: [Int], into receive: UnsafeMutablePointer<Float>,
        _ receiveCounts: [Int]
    ) {
        receive.update(from: send, count: sendCounts[0])
    }
    func startExchange(_ exchange: Exchange) -> any PendingExchange {
        let (from, to) = (exchange.sendBlocks[0], exchange.receiveBlocks[0])
        (exchange.receive + to.lowerBound).update(from: exchange.send + from.lowerBound, count: from.count)
        return EndedExchange()
    }
    func barrier() {}
    func split(color: Int) -> any Communicator { self }
    func splitByMachine() -> any Communicator { self }
}
