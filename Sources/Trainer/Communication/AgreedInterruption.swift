import Shared
import Synchronization

/// A stop that all ranks have agreed on, after which MPI can be ended in order.
///
/// A rank that stops on a signal of its own, while others wait for it in a collective, would wait for them for ever in
/// `MPI_Finalize`: such a rank ends the others.
enum AgreedInterruption {
    private static let flag = Atomic<Bool>(false)

    static var hasHappened: Bool { flag.load(ordering: .relaxed) }

    /// The error to throw on all ranks.
    static func error() -> Interrupted {
        flag.store(true, ordering: .relaxed)
        return Interrupted()
    }
}

extension Communicator {
    /// Collective: stops all ranks if any of them was asked to.
    ///
    /// - Throws: `Interrupted`, on all ranks.
    func stopIfInterrupted() throws {
        if any(Interrupt.isRequested) { throw AgreedInterruption.error() }
    }
}
