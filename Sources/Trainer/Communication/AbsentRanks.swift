/// A rank among others that aren't there: for laying out its part of a model, and running it without them.
///
/// What the others would give stays as it is, or is zero. Of one rank, it is a process by itself.
struct AbsentRanks: Communicator {
    var rank = 0
    var size = 1

    func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) {}
    func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) {}
    func allReduceMax(_ values: UnsafeMutableBufferPointer<Double>) {}
    func allGather(_ values: UnsafeBufferPointer<Float>, into all: UnsafeMutableBufferPointer<Float>) {
        for other in 0..<size {
            _ = UnsafeMutableBufferPointer(rebasing: all.dropFirst(other * values.count)).update(from: values)
        }
    }
    func allToAll(
        _ send: UnsafeMutablePointer<Float>, _ sendCounts: [Int], into receive: UnsafeMutablePointer<Float>,
        _ receiveCounts: [Int]
    ) {
        receive.update(repeating: 0, count: receiveCounts.reduce(0, +))
        let offset = { (counts: [Int]) in counts[..<rank].reduce(0, +) }
        (receive + offset(receiveCounts)).update(from: send + offset(sendCounts), count: sendCounts[rank])
    }
    func startExchange(_ exchange: Exchange) -> any PendingExchange {
        let (from, to) = (exchange.sendBlocks[rank], exchange.receiveBlocks[rank])
        exchange.receive(from: to.lowerBound).copyMemory(
            from: exchange.send(from: from.lowerBound), byteCount: from.count * exchange.type.byteCount)
        return EndedExchange()
    }
    func barrier() {}
    func split(color: Int) -> any Communicator { self }
    func splitByMachine() -> any Communicator { self }
}
