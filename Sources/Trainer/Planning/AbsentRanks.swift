/// A rank among others that aren't there: for laying out its part of a model, and running it without them.
///
/// What the others would give stays as it is.
struct AbsentRanks: Communicator {
    let rank: Int
    let size: Int

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
    }
    func startExchange(_ exchange: Exchange) -> any PendingExchange { EndedExchange() }
    func barrier() {}
    func split(color: Int) -> any Communicator { self }
    func splitByMachine() -> any Communicator { self }
}
