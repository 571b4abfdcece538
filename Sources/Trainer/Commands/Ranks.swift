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
    static func startAlone(_ options: TargetOptions) throws { try expectAlone(startWorld(options)) }

    /// - Throws: `CommunicationError` if there are several ranks, for a command that has a use for one.
    static func expectAlone(_ world: any Communicator) throws(CommunicationError) {
        guard world.size == 1 else {
            throw CommunicationError(
                operation: "mpirun", message: "this command runs by itself; start it without mpirun")
        }
    }

    private static func startWorld(_ options: TargetOptions) throws -> MPICommunicator {
        Watchdog.start(minutes: options.distTimeout)
        let world = try MPICommunicator.start()
        started.store(world.size, ordering: .relaxed)
        if world.size > 1 {
            Log.setPrefix("[rank \(world.rank)] ")
            Log.setQuiet(world.rank > 0)
        }
        BLAS.prepare()
        try setThreads(options.numThreads, world.splitByMachine())
        GEMMLibrary.set(options.gemmLibrary)
        if let setting = BLAS.narrowingSetting {
            Log.line("note: \(setting) in the environment holds matrix products to AVX2; unset it to use AVX-512")
        }
        if !MatrixPrecision.set(options.dtype) {
            Log.line("note: this CPU has no bfloat16 products; they are computed in float32")
        }
        return world
    }

    /// Sets the number of threads, and says so if ranks would take turns on their CPUs or leave most of them idle.
    private static func setThreads(_ wanted: Int?, _ neighbours: any Communicator) throws(CommunicationError) {
        let layout = try RankLayout(among: neighbours)
        Parallel.setThreads(wanted ?? layout.threads, cpus: layout.cpus / layout.sharers)
        let all = try Int(neighbours.sum([Double(Parallel.threads)])[0])
        guard neighbours.rank == 0 else { return }
        if let warning = layout.warning(threads: Parallel.threads) { Log.warning(warning) }
        if wanted == nil, let note = RankLayout.idleNote(threads: all, machine: RankLayout.machineCPUs) {
            Log.line("note: \(note)")
        }
    }

    /// Ends this process: in order when all ranks end, at once for all of them when this one failed or was
    /// interrupted by itself.
    static func end(_ code: Int32) -> Never {
        let ranks = started.load(ordering: .relaxed)
        let isAgreed = code == ExitCode.done || code == ExitCode.interrupted && AgreedInterruption.hasHappened
        if ranks == 1 || ranks > 1 && isAgreed {
            MPICommunicator.finish()
        } else if ranks > 1 {
            MPICommunicator.abort(code)
        }
        exit(code)
    }
}

extension ProcessGrid {
    /// Logs where the time went, if that was asked for; all ranks come here.
    func logProfile(_ options: TargetOptions) throws(CommunicationError) {
        guard options.profile else { return }
        let report = try ProfileReport(Profile.times, over: world)
        Log.line("profile:\n\(report.text)")
    }
}
