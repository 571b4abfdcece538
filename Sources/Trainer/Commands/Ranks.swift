import Glibc
import Shared
import Synchronization

/// This process among the others, set up as every command that computes needs it.
enum Ranks {
    /// Ranks that MPI has started; 0 before it has.
    private static let started = Atomic<Int>(0)

    /// Starts MPI, names the rank in the log and agrees upon what computes.
    ///
    /// - Parameters:
    ///   - hasFixedCuts: Whether products are to be the same bit by bit for any number of threads.
    ///   - hasIndependentRows: Whether rows of products are to be the same bit by bit whichever others stand beside them.
    ///   - recorder: What is to measure loops.
    static func start(
        _ options: TargetOptions, hasFixedCuts: Bool = false, hasIndependentRows: Bool = false,
        recorder: LoopRecorder? = nil
    ) throws -> ProcessGrid {
        let world = startWorld(options)
        let compute = try compute(
            options, world, hasFixedCuts: hasFixedCuts, hasIndependentRows: hasIndependentRows, recorder)
        let grid = try ProcessGrid(world: world, tpSize: options.tpSize, compute)
        Log.line(
            "\(grid.world.size) rank\(grid.world.size == 1 ? "" : "s") = \(grid.dpSize) data parallel x "
                + "\(grid.tpSize) tensor parallel, \(compute.threads) thread\(compute.threads == 1 ? "" : "s") each, "
                + "\(compute.description), compiled for \(Machine.compiledFeatures)")
        return grid
    }

    /// The same for a command that isn't run by several ranks.
    static func startAlone(_ options: TargetOptions) throws -> Compute {
        let world = startWorld(options)
        try expectAlone(world)
        return try compute(options, world, hasFixedCuts: false)
    }

    /// - Throws: `OptionsError` if there are several ranks, for a command that has a use for one.
    static func expectAlone(_ world: any Communicator) throws(OptionsError) {
        guard world.size == 1 else { throw .rule("this command runs by itself; start it without mpirun") }
    }

    private static func startWorld(_ options: TargetOptions) -> MPICommunicator {
        Watchdog.start(minutes: options.distTimeout)
        let world = MPICommunicator.start()
        started.store(world.size, ordering: .relaxed)
        if world.size > 1 {
            Log.setPrefix("[rank \(world.rank)] ")
            Log.setQuiet(world.rank > 0)
        }
        BLAS.prepare()
        if let setting = BLAS.narrowingSetting {
            Log.line("note: \(setting) in the environment holds matrix products to AVX2; unset it to use AVX-512")
        }
        return world
    }

    /// What every rank computes with: the same precision and library everywhere, as many threads as each has CPUs.
    private static func compute(
        _ options: TargetOptions, _ world: any Communicator, hasFixedCuts: Bool, hasIndependentRows: Bool = false,
        _ recorder: LoopRecorder? = nil
    ) throws(OptionsError) -> Compute {
        let precision = try precision(options.dtype, isSupported: options.dtype.isSupported, world)
        if precision != options.dtype {
            Log.line("note: this CPU has no \(options.dtype) products; they are computed in float32")
        }
        let isOneDNN = !world.any(!options.gemmLibrary.isOneDNN)
        let placement = placement(options.numThreads, world.splitByMachine())
        Machine.bindThread(to: Array(placement.pinned.prefix(1)))
        return Compute(
            precision: precision, library: isOneDNN ? .onednn : .openblas, threads: placement.threads,
            cpus: placement.cores, hasFixedCuts: hasFixedCuts, hasIndependentRows: hasIndependentRows,
            pinned: placement.pinned, recorder: recorder)
    }

    /// The precision of all ranks: that which is wanted, or float32, which is no less exact, if no CPU has it.
    ///
    /// Collective: call on all ranks.
    /// - Throws: `OptionsError` on all ranks, if only some of their CPUs have it: they would compute different values
    ///   from the same weights.
    static func precision(
        _ wanted: MatrixPrecision, isSupported: Bool, _ world: any Communicator
    ) throws(OptionsError) -> MatrixPrecision {
        let supporting = Int(world.sum([isSupported ? 1 : 0])[0])
        guard supporting == 0 || supporting == world.size else {
            throw .rule(
                "--dtype \(wanted): only \(supporting) of \(world.size) ranks run on CPUs that have it; "
                    + "leave out the others' hosts, or use --dtype float32")
        }
        return supporting == 0 ? .float32 : wanted
    }

    /// The number of threads, and of cores that are this rank's own, and the CPUs that threads are bound to.
    ///
    /// Logs if ranks would oversubscribe their cores or leave most of them idle.
    private static func placement(
        _ wanted: Int?, _ neighbours: any Communicator
    ) -> (threads: Int, cores: Int, pinned: [Int]) {
        let layout = RankLayout(among: neighbours)
        let threads = wanted ?? layout.threads
        let all = Int(neighbours.sum([Double(threads)])[0])
        if neighbours.rank == 0 {
            if let warning = layout.warning(threads: threads) { Log.warning(warning) }
            if wanted == nil, let note = RankLayout.idleNote(threads: all, machine: CPUTopology.machine.cores) {
                Log.line("note: \(note)")
            }
        }
        let pinned = layout.pinned(threads: threads, order: CPUTopology.allowed.order)
        return (threads, layout.cores / layout.sharers, pinned)
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
    /// Collective: logs where the time went, if that was asked for.
    func logProfile(_ options: TargetOptions) {
        if options.profile { logProfile() }
    }
}
