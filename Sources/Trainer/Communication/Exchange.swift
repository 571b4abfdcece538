/// What this rank sends to each rank and receives from it, all at once.
struct Exchange {
    let send: UnsafeMutableRawPointer
    /// For each rank, the range of its values from `send` on.
    let sendBlocks: [Range<Int>]
    let receive: UnsafeMutableRawPointer
    /// For each rank, the range from `receive` on of what comes from it.
    let receiveBlocks: [Range<Int>]
    /// What values are sent as.
    var type = WireType.float32

    func send(from index: Int) -> UnsafeMutableRawPointer { send + index * type.byteCount }
    func receive(from index: Int) -> UnsafeMutableRawPointer { receive + index * type.byteCount }
}

/// What values are sent as.
enum WireType: String, CaseIterable, Sendable {
    case float32, bfloat16

    var byteCount: Int { self == .float32 ? 4 : 2 }
}

/// An exchange that is under way; until it has ended, its buffers belong to it.
protocol PendingExchange {
    /// Moves it on, and tells whether it has ended.
    func hasEnded() -> Bool
    /// Waits until it has ended.
    func wait()
}

/// An exchange that ended as it began.
struct EndedExchange: PendingExchange {
    func hasEnded() -> Bool { true }
    func wait() {}
}

/// Exchanges that are under way, each with what is to be done when it ends.
///
/// There are few at a time: each has a message to and from every other rank, of which hundreds of ranks would have
/// hundreds of thousands.
struct PendingExchanges<Purpose> {
    /// The most that may be under way.
    static var most: Int { 8 }

    private var pending: [(purpose: Purpose, exchange: any PendingExchange)] = []

    var isEmpty: Bool { pending.isEmpty }
    var isFull: Bool { pending.count >= Self.most }
    var purposes: [Purpose] { pending.map(\.purpose) }

    mutating func add(_ purpose: Purpose, _ exchange: any PendingExchange) {
        precondition(!isFull)
        pending.append((purpose, exchange))
    }

    /// Moves all of them on, whichever began first, and takes out those that have ended.
    mutating func ended() -> [Purpose] {
        var ended: [Purpose] = []
        pending.removeAll { purpose, exchange in
            guard exchange.hasEnded() else { return false }
            ended.append(purpose)
            return true
        }
        return ended
    }

    /// Waits for the one that began first, and takes it out with others that have ended.
    mutating func wait() -> [Purpose] {
        guard let first = pending.first else { return [] }
        first.exchange.wait()
        pending.removeFirst()
        return [first.purpose] + ended()
    }
}
