import CMPI

/// An exchange under way, by `MPI_Ialltoallv`.
///
/// MPI moves it on whenever this process is inside one of its functions; `hasEnded` is such a visit.
final class MPIExchange: PendingExchange {
    private var request: MPI_Request?
    /// Counts and offsets, which MPI reads until the end.
    private let numbers: UnsafeMutablePointer<Int32>

    init(_ exchange: Exchange, _ communicator: MPI_Comm) {
        let ranks = exchange.sendBlocks.count
        numbers = .allocate(capacity: 4 * ranks)
        let (send, receive) = (Self.first(exchange.sendBlocks), Self.first(exchange.receiveBlocks))
        for rank in 0..<ranks {
            let (from, to) = (exchange.sendBlocks[rank], exchange.receiveBlocks[rank])
            numbers[rank] = Int32(from.count)
            numbers[ranks + rank] = Int32(from.isEmpty ? 0 : from.lowerBound - (send ?? 0))
            numbers[2 * ranks + rank] = Int32(to.count)
            numbers[3 * ranks + rank] = Int32(to.isEmpty ? 0 : to.lowerBound - (receive ?? 0))
        }
        // Open MPI takes two equal addresses for an exchange in place, which this never is, also where a rank neither
        // sends nor receives: it would wait for other messages than those that the others send.
        let (nothingSent, nothingReceived) = (UnsafeMutableRawPointer(numbers), UnsafeMutableRawPointer(numbers + 1))
        // MPI knows no bfloat16, and only moves it.
        let type = exchange.type == .float32 ? mpi_float() : mpi_uint16()
        MPICommunicator.call("MPI_Ialltoallv") {
            MPI_Ialltoallv(
                send.map(exchange.send(from:)) ?? nothingSent, numbers, numbers + ranks, type,
                receive.map(exchange.receive(from:)) ?? nothingReceived, numbers + 2 * ranks, numbers + 3 * ranks, type,
                communicator, &request)
        }
    }

    /// Where the first block begins that isn't empty: offsets are counted from there, and MPI has 32 bits for them.
    private static func first(_ blocks: [Range<Int>]) -> Int? {
        blocks.filter { !$0.isEmpty }.map(\.lowerBound).min()
    }

    deinit { numbers.deallocate() }

    func hasEnded() -> Bool {
        var flag: Int32 = 0
        MPICommunicator.call("MPI_Test") { MPI_Test(&request, &flag, mpi_status_ignore()) }
        return flag != 0
    }

    func wait() {
        MPICommunicator.call("MPI_Wait for MPI_Ialltoallv") { MPI_Wait(&request, mpi_status_ignore()) }
    }
}
