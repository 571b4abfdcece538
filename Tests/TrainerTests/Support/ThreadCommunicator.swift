import Foundation
import Synchronization

@testable import Trainer

/// Ranks as threads of one process, with real sums: parallel code without mpirun.
struct ThreadCommunicator: Communicator, @unchecked Sendable {
    let rank: Int
    private let meeting: Meeting

    var size: Int { meeting.size }

    /// Runs `body` once for each rank, on a thread each, and returns what they returned, or throws what one threw.
    static func run<R>(_ size: Int, _ body: @escaping @Sendable (any Communicator) throws -> sending R) throws -> [R] {
        let meeting = Meeting(size: size)
        nonisolated(unsafe) var results = [Result<R, any Error>?](repeating: nil, count: size)
        let lock = NSLock()
        let done = DispatchGroup()
        for rank in 0..<size {
            done.enter()
            let thread = Thread {
                let result = Result { try body(ThreadCommunicator(rank: rank, meeting: meeting)) }
                lock.withLock { results[rank] = result }
                done.leave()
            }
            thread.stackSize = 16 << 20
            thread.start()
        }
        done.wait()
        return try results.map { result in
            guard let result else { preconditionFailure("a rank returned nothing") }
            return try result.get()
        }
    }

    func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) { reduce(values, +) }
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) { reduce(values, +) }
    func allReduceMax(_ values: UnsafeMutableBufferPointer<Double>) { reduce(values) { Swift.max($0, $1) } }

    func allGather(_ values: UnsafeBufferPointer<Float>, into all: UnsafeMutableBufferPointer<Float>) {
        let everybody = meeting.exchange(rank, values)
        for (other, part) in everybody.enumerated() {
            for i in 0..<values.count { all[other * values.count + i] = part[i] }
        }
        meeting.wait()
    }

    func allToAll(
        _ send: UnsafeMutablePointer<Float>, _ sendCounts: [Int], into receive: UnsafeMutablePointer<Float>,
        _ receiveCounts: [Int]
    ) {
        let everybody = meeting.exchange(rank, (send, sendCounts))
        var offset = 0
        for (other, (values, counts)) in everybody.enumerated() {
            let first = counts[..<rank].reduce(0, +)
            precondition(counts[rank] == receiveCounts[other])
            (receive + offset).update(from: values + first, count: counts[rank])
            offset += counts[rank]
        }
        meeting.wait()
    }

    /// All at once, which is one of the moments at which MPI may do it.
    func startExchange(_ exchange: Exchange) -> any PendingExchange {
        let everybody = meeting.exchange(rank, exchange)
        for (other, sent) in everybody.enumerated() {
            let (from, to) = (sent.sendBlocks[rank], exchange.receiveBlocks[other])
            precondition(from.count == to.count)
            precondition(sent.type == exchange.type)
            exchange.receive(from: to.lowerBound).copyMemory(
                from: sent.send(from: from.lowerBound), byteCount: from.count * exchange.type.byteCount)
        }
        meeting.wait()
        return EndedExchange()
    }

    func barrier() { meeting.wait() }

    func split(color: Int) -> any Communicator {
        let colors = meeting.exchange(rank, color)
        let members = colors.indices.filter { colors[$0] == color }
        let own = Meeting(size: members.count)
        let meetings = meeting.exchange(rank, own)
        let place = members.prefix { $0 != rank }.count
        return ThreadCommunicator(rank: place, meeting: meetings[members[0]])
    }

    func splitByMachine() -> any Communicator { split(color: 0) }

    private func reduce<Number>(_ values: UnsafeMutableBufferPointer<Number>, _ combine: (Number, Number) -> Number) {
        let everybody = meeting.exchange(rank, UnsafeBufferPointer(values))
        let sums = values.indices.map { i in everybody.dropFirst().reduce(everybody[0][i]) { combine($0, $1[i]) } }
        meeting.wait()
        for (i, sum) in sums.enumerated() { values[i] = sum }
        meeting.wait()
    }

    /// Where the threads wait for each other.
    private final class Meeting: @unchecked Sendable {
        let size: Int
        private let condition = NSCondition()
        private var waiting = 0
        private var round = 0
        private var slots: [Any?]

        init(size: Int) {
            self.size = size
            slots = [Any?](repeating: nil, count: size)
        }

        func wait() {
            condition.lock()
            let mine = round
            waiting += 1
            if waiting == size {
                waiting = 0
                round += 1
                condition.broadcast()
            } else {
                while round == mine { condition.wait() }
            }
            condition.unlock()
        }

        /// Everybody's value, by rank.
        func exchange<T>(_ rank: Int, _ value: T) -> [T] {
            condition.withLock { slots[rank] = value }
            wait()
            let values = condition.withLock { slots.compactMap { $0 as? T } }
            precondition(values.count == size, "ranks called different functions")
            wait()
            return values
        }
    }
}
