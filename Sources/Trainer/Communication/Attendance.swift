import Shared

/// Ranks that work, each as long as it takes, and tell each other meanwhile that they do.
///
/// They exchange a number each, over and over: a rank that works looks at the exchange now and then and goes on, one
/// that is done waits for it. So no rank waits longer in a call than another one works between two looks, however long
/// the whole takes, and the watchdog can tell work from a hang: a rank that hangs looks no more. A signal to any rank
/// is known to all of them by the same exchange.
final class Attendance {
    private enum State: Float { case working, done, interrupted }

    private let ranks: any Communicator
    private let isAskedToStop: () -> Bool
    /// What is sent to each rank, and then what came from each.
    private let states: UnsafeMutablePointer<Float>
    private var pending: (any PendingExchange)?
    /// Whether all ranks have agreed to stop.
    private(set) var isInterrupted = false

    /// - Parameter isAskedToStop: Whether this rank has got a signal.
    init(_ ranks: any Communicator, isAskedToStop: @escaping () -> Bool = { Interrupt.isRequested }) {
        self.ranks = ranks
        self.isAskedToStop = isAskedToStop
        states = .allocate(capacity: 2 * ranks.size)
        states.initialize(repeating: 0, count: 2 * ranks.size)
        start(.working)
    }

    /// A rank that throws with an exchange under way ends all of them; its memory stays with MPI until then.
    deinit { if pending == nil { states.deallocate() } }

    /// Says that this rank works; to be called every second or so, from the thread that talks to the others.
    ///
    /// - Throws: `Interrupted`, on all ranks, if any of them was asked to stop.
    func beat() throws {
        guard let exchange = pending, exchange.hasEnded() else { return }
        _ = try end()
        start(.working)
    }

    /// Waits until all ranks are done.
    ///
    /// - Throws: As `beat`.
    func finish() throws {
        while let exchange = pending {
            exchange.wait()
            if try end() { return }
            start(.done)
        }
    }

    private func start(_ state: State) {
        let (size, own) = (ranks.size, ranks.rank)
        let now = isAskedToStop() ? State.interrupted : state
        for rank in 0..<size {
            states[rank] = now.rawValue
            states[size + rank] = now.rawValue
        }
        let blocks = (0..<size).map { $0 == own ? 0..<0 : $0..<$0 + 1 }
        pending = ranks.startExchange(
            Exchange(send: states, sendBlocks: blocks, receive: states + size, receiveBlocks: blocks))
    }

    /// Takes in an exchange that has ended, and tells whether all ranks are done.
    private func end() throws -> Bool {
        pending = nil
        let all = (0..<ranks.size).map { states[ranks.size + $0] }
        guard !all.contains(State.interrupted.rawValue) else {
            isInterrupted = true
            throw AgreedInterruption.error()
        }
        return all.allSatisfy { $0 == State.done.rawValue }
    }
}

extension Communicator {
    /// Does work that may take ranks minutes, and some of them longer than others.
    ///
    /// Collective; but the work itself makes no calls of this communicator's. A rank that throws ends all of them.
    ///
    /// - Parameter work: Calls what it is given every second or so, and throws what that throws.
    /// - Throws: `Interrupted`, on all ranks, if any of them was asked to stop.
    func together<R>(_ work: (_ beat: @escaping () throws -> Void) throws -> R) throws -> R {
        let attendance = Attendance(self)
        let result = try work(attendance.beat)
        try attendance.finish()
        return result
    }

    /// Does on the first rank what only one does, while the others wait; see `together`.
    ///
    /// - Parameter stopsAtSignals: Whether a signal to any rank ends it; not what is saved because of a signal.
    /// - Throws: On all ranks, if it fails: why, on the first; `Interrupted` on all, if it was interrupted.
    func onFirstRank(
        stopsAtSignals: Bool = true, _ body: (_ beat: @escaping () throws -> Void) throws -> Void
    ) throws {
        var failure: (any Error)?
        let attendance = stopsAtSignals ? Attendance(self) : Attendance(self, isAskedToStop: { false })
        do {
            if rank == 0 { try body(attendance.beat) }
        } catch {
            if attendance.isInterrupted { throw error }
            failure = error
        }
        try attendance.finish()
        let ends = max([failure == nil ? 0 : 1, failure is Interrupted ? 1 : 0])
        if ends[1] > 0 { throw AgreedInterruption.error() }
        if ends[0] > 0 { throw failure ?? FailedOnFirstRank() }
    }

    /// The first rank's text, on all ranks.
    func broadcast(_ text: String) -> String {
        let bytes = rank == 0 ? Array(text.utf8) : []
        let count = Int(sum([Double(bytes.count)])[0])
        let all = sum((0..<count).map { rank == 0 ? Double(bytes[$0]) : 0 })
        return String(decoding: all.map { UInt8($0) }, as: UTF8.self)
    }
}
