/// What this rank sends to each rank and receives from it, all at once.
struct Exchange {
    let send: UnsafeMutablePointer<Float>
    /// For each rank, the range of its values from `send` on.
    let sendBlocks: [Range<Int>]
    let receive: UnsafeMutablePointer<Float>
    /// For each rank, the range from `receive` on of what comes from it.
    let receiveBlocks: [Range<Int>]
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
