import CMPI
import Glibc
import Shared

/// Ranks started by mpirun (or one process by itself), by Open MPI.
struct MPICommunicator: Communicator, @unchecked Sendable {
    private let handle: MPI_Comm
    let rank: Int
    let size: Int

    /// Elements that a call reduces at a time: one long buffer runs at less than half the speed of 4 MB pieces.
    private static let pieceSize = 1 << 20

    /// Starts MPI for this process and gives all its ranks.
    ///
    /// Once, from the main thread.
    static func start() -> MPICommunicator {
        var provided: Int32 = 0
        call("MPI_Init_thread", phase: .start) { MPI_Init_thread(nil, nil, Int32(MPI_THREAD_FUNNELED), &provided) }
        call("MPI_Comm_set_errhandler") { MPI_Comm_set_errhandler(mpi_comm_world(), mpi_errors_return()) }
        return MPICommunicator(mpi_comm_world())
    }

    /// Ends MPI in order.

    ///

    /// Collective: call on all ranks.
    static func finish() { _ = Watchdog.watch("MPI_Finalize") { MPI_Finalize() } }

    /// Ends all ranks at once: what a rank does that can't go on, so that the others don't wait for it.
    static func abort(_ code: Int32) { MPI_Abort(mpi_comm_world(), code) }

    private init(_ handle: MPI_Comm) {
        var (rank, size): (Int32, Int32) = (0, 0)
        Self.call("MPI_Comm_rank") { MPI_Comm_rank(handle, &rank) }
        Self.call("MPI_Comm_size") { MPI_Comm_size(handle, &size) }
        self.handle = handle
        self.rank = Int(rank)
        self.size = Int(size)
    }

    func allReduceSum(_ values: UnsafeMutableBufferPointer<Float>) {
        allReduce(values, mpi_float(), mpi_sum())
    }

    func allReduceSum(_ values: UnsafeMutableBufferPointer<Double>) {
        allReduce(values, mpi_double(), mpi_sum())
    }

    func allReduceMax(_ values: UnsafeMutableBufferPointer<Double>) {
        allReduce(values, mpi_double(), mpi_max())
    }

    func allGather(
        _ values: UnsafeBufferPointer<Float>, into all: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(all.count == values.count * size)
        let count = Self.count(values.count, "MPI_Allgather")
        Self.call("MPI_Allgather") {
            MPI_Allgather(values.baseAddress, count, mpi_float(), all.baseAddress, count, mpi_float(), handle)
        }
    }

    func allToAll(
        _ send: UnsafeMutablePointer<Float>, _ sendCounts: [Int], into receive: UnsafeMutablePointer<Float>,
        _ receiveCounts: [Int]
    ) {
        _ = Self.count(sendCounts.reduce(0, +), "MPI_Alltoallv")
        _ = Self.count(receiveCounts.reduce(0, +), "MPI_Alltoallv")
        Self.call("MPI_Alltoallv") {
            MPI_Alltoallv(
                send, sendCounts.map(Int32.init), Self.offsets(sendCounts), mpi_float(), receive,
                receiveCounts.map(Int32.init), Self.offsets(receiveCounts), mpi_float(), handle)
        }
    }

    func startExchange(_ exchange: Exchange) -> any PendingExchange {
        MPIExchange(exchange, handle)
    }

    func barrier() { Self.call("MPI_Barrier") { MPI_Barrier(handle) } }

    func split(color: Int) -> any Communicator {
        var part = mpi_comm_null()
        Self.call("MPI_Comm_split") { MPI_Comm_split(handle, Int32(color), Int32(rank), &part) }
        guard let part else { Self.fail("MPI_Comm_split", "no communicator") }
        return MPICommunicator(part)
    }

    func splitByMachine() -> any Communicator {
        var part = mpi_comm_null()
        Self.call("MPI_Comm_split_type") {
            MPI_Comm_split_type(handle, Int32(MPI_COMM_TYPE_SHARED), Int32(rank), mpi_info_null(), &part)
        }
        guard let part else { Self.fail("MPI_Comm_split_type", "no communicator") }
        return MPICommunicator(part)
    }

    private func allReduce<Number>(
        _ values: UnsafeMutableBufferPointer<Number>, _ type: MPI_Datatype?, _ operation: MPI_Op?
    ) {
        guard size > 1, let start = values.baseAddress else { return }
        for offset in stride(from: 0, to: values.count, by: Self.pieceSize) {
            let count = Int32(min(Self.pieceSize, values.count - offset))
            Self.call("MPI_Allreduce") {
                MPI_Allreduce(mpi_in_place(), start + offset, count, type, operation, handle)
            }
        }
    }

    private static func offsets(_ counts: [Int]) -> [Int32] {
        var next: Int32 = 0
        return counts.map { count in
            defer { next += Int32(count) }
            return next
        }
    }

    /// MPI counts in 32 bits.
    private static func count(_ count: Int, _ operation: String) -> Int32 {
        guard let count = Int32(exactly: count) else {
            fail(operation, "\(count) elements are more than one call takes")
        }
        return count
    }

    /// Calls a function of MPI, which the watchdog ends if it waits too long.
    static func call(
        _ name: StaticString, phase: Profile.Phase = .communication, _ body: () -> Int32
    ) {
        let code = Profile.measure(phase) { Watchdog.watch(name, body) }
        guard code != MPI_SUCCESS else { return }
        var text = [CChar](repeating: 0, count: Int(MPI_MAX_ERROR_STRING) + 1)
        var length: Int32 = 0
        MPI_Error_string(code, &text, &length)
        let message = String(decoding: text.prefix(Int(length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        fail("\(name)", message)
    }

    /// Says what failed and ends all ranks: what was lost between them can't be made up for here.
    private static func fail(_ operation: String, _ message: String) -> Never {
        Log.error("\(operation): \(message)")
        abort(ExitCode.failed)
        exit(ExitCode.failed)
    }
}
