import Glibc
import Shared
import Synchronization

/// This process among the others, set up as every command that computes needs it.
enum Ranks {
    /// Ranks that MPI has started; 0 before it has.
    private static let started = Atomic<Int>(0)

    /// Starts MPI, names the rank in the log and sets the number of threads.
    static func start(_ options: TargetOptions) throws -> ProcessGrid {
        let grid = try ProcessGrid(world: startWorld(options), tpSize: options.tpSize)
        Log.line(
            "\(grid.world.size) rank\(grid.world.size == 1 ? "" : "s") = \(grid.dpSize) data parallel x "
                + "\(grid.tpSize) tensor parallel, \(Parallel.threads) thread\(Parallel.threads == 1 ? "" : "s") each, "
                + "\(MatrixPrecision.current) by \(BLAS.name), compiled for \(Machine.compiledFeatures)")
        return grid
    }

    /// The same for a command that isn't run by several ranks.
    static func startAlone(_ options: TargetOptions) throws {
        let world = try startWorld(options)
        guard world.size == 1 else {
            throw CommunicationError(
                operation: "mpirun", message: "this command runs by itself; start it without mpirun")
        }
    }

    private static func startWorld(_ options: TargetOptions) throws -> MPICommunicator {
        let world = try MPICommunicator.start()
        started.store(world.size, ordering: .relaxed)
        if world.size > 1 {
            Log.setPrefix("[rank \(world.rank)] ")
            Log.setQuiet(world.rank > 0)
        }
        BLAS.prepare()
        Parallel.setThreads(options.numThreads ?? Machine.availableCPUs)
        if Parallel.threads > Machine.availableCPUs {
            Log.warning(
                "\(Parallel.threads) threads on \(Machine.availableCPUs) CPU(s): mpirun --bind-to none frees more of them"
            )
        }
        if let setting = BLAS.narrowingSetting {
            Log.line("note: \(setting) in the environment holds matrix products to AVX2; unset it to use AVX-512")
        }
        if !MatrixPrecision.set(options.dtype) {
            Log.line("note: this CPU has no bfloat16 products; they are computed in float32")
        }
        return world
    }

    /// Ends this process: in order when all ranks come here, at once for all of them when this one failed.
    static func end(_ code: Int32) -> Never {
        let ranks = started.load(ordering: .relaxed)
        if ranks == 1 || ranks > 1 && (code == ExitCode.done || code == ExitCode.interrupted) {
            MPICommunicator.finish()
        } else if ranks > 1 {
            MPICommunicator.abort(code)
        }
        exit(code)
    }
}
