import COneDNN
import COpenBLAS
import Shared

/// What computes: the precision of products, the library that multiplies, the threads, and how products are cut.
///
/// Made once at a program's start and handed down: memory is made with it (`Workspace`, `ParameterStore`,
/// `FrozenWeights`), and a matrix knows it from the memory that it is in. So a process can compute in several ways side
/// by side, as tests do. It is one word, which copies of a matrix carry at no cost: what it stands for lives as long as
/// the process.
struct Compute: @unchecked Sendable {
    private let settings: UnsafePointer<Settings>

    private struct Settings {
        let precision: MatrixPrecision
        let gemmLibrary: GEMMLibrary
        let hasFixedCuts: Bool
        let hasIndependentRows: Bool
        let threads: Int
        let staysAwake: Bool
        let team: ThreadTeam
        let recorder: LoopRecorder?
        let roundedOperands: RoundedOperands
        let unpackedPanels: UnpackedPanels
        let blockProducts: BlockProducts?
    }

    /// - Parameters:
    ///   - precision: What matrix products round their operands to: one that this CPU supports.
    ///   - threads: Threads of loops and products, the calling one among them.
    ///   - cpus: This process's own, which it shares with no other rank.
    ///   - hasFixedCuts: Whether products are cut into the same pieces for any number of threads, and so are the same
    ///     bit by bit: a library may add up in another order at the edge of a piece.
    ///   - hasIndependentRows: Whether each row of a product of weights is the same bit by bit whichever rows stand beside
    ///     it, and however many: what is generated then doesn't depend on what is generated at the same time.
    ///   - pinned: The CPU of each thread, the calling one's first; empty if the system places threads.
    ///   - recorder: What measures loops, and says how many threads there are.
    init(
        precision: MatrixPrecision = .float32, library: GEMMLibrary = .auto, threads: Int = 1,
        cpus: Int = Machine.availableCPUs, hasFixedCuts: Bool = false,
        hasIndependentRows: Bool = false, pinned: [Int] = [], recorder: LoopRecorder? = nil
    ) {
        precondition(threads > 0)
        // A recorder may have loops run by as many threads as there are cores.
        let most = recorder == nil ? threads : max(threads, CPUTopology.allowed.cores)
        self.init(
            Settings(
                precision: precision, gemmLibrary: library.isOneDNN ? .onednn : .openblas, hasFixedCuts: hasFixedCuts,
                hasIndependentRows: hasIndependentRows, threads: threads, staysAwake: threads <= cpus,
                team: ThreadTeam(cpus: pinned), recorder: recorder,
                roundedOperands: RoundedOperands(), unpackedPanels: UnpackedPanels(),
                blockProducts: precision == .bfloat16
                    ? BlockProducts(threads: most, hasIndependentRows: hasIndependentRows) : nil))
    }

    private init(_ settings: Settings) {
        let memory = UnsafeMutablePointer<Settings>.allocate(capacity: 1)
        memory.initialize(to: settings)
        self.settings = UnsafePointer(memory)
    }

    /// The same with another number of threads.
    func with(threads: Int) -> Compute {
        Compute(
            precision: precision, library: gemmLibrary, threads: threads, hasFixedCuts: hasFixedCuts,
            hasIndependentRows: hasIndependentRows)
    }

    /// The same in another precision: one that this CPU supports.
    func with(precision: MatrixPrecision) -> Compute {
        Compute(
            precision: precision, library: gemmLibrary, threads: threads, hasFixedCuts: hasFixedCuts,
            hasIndependentRows: hasIndependentRows)
    }

    /// What matrix products round their operands to.
    var precision: MatrixPrecision { settings.pointee.precision }
    /// The library of float32 products: never `auto`.
    var gemmLibrary: GEMMLibrary { settings.pointee.gemmLibrary }
    /// Whether products are cut into the same pieces for any number of threads.
    var hasFixedCuts: Bool { settings.pointee.hasFixedCuts }
    /// Whether each row of a product of weights is the same bit by bit whichever rows stand beside it.
    var hasIndependentRows: Bool { settings.pointee.hasIndependentRows }
    /// Threads that loops and matrix products use.
    var threads: Int { recorder?.threads ?? settings.pointee.threads }
    /// What measures loops; nil as a rule.
    var recorder: LoopRecorder? { settings.pointee.recorder }

    /// "float32 by OpenBLAS SkylakeX", for the log.
    var description: String {
        let library =
            precision == .float32 && gemmLibrary == .openblas
            ? "OpenBLAS \(BLAS.coreName)" : "oneDNN \(DNNL_VERSION_MAJOR).\(DNNL_VERSION_MINOR)"
        return "\(precision) by \(library)"
    }

    /// Runs `body` once on each of `workers` threads, or on the calling one alone where they are at work; it is told how
    /// many there are.
    func run(_ workers: Int, _ body: (_ worker: Int, _ workers: Int) -> Void) {
        settings.pointee.team.run(workers, staysAwake: settings.pointee.staysAwake, body)
    }

    /// Memory for packed weights that are unpacked for a product.
    var unpackedPanels: UnpackedPanels { settings.pointee.unpackedPanels }

    /// Runs `body` with both operands rounded to bfloat16; one product at a time.
    func withRounded(_ a: Matrix, _ b: Matrix, _ body: (BFloat16Matrix, BFloat16Matrix) -> Void) {
        settings.pointee.roundedOperands.with(a, b, body)
    }

    /// Runs `body` with one operand rounded to bfloat16.
    func withRounded(_ a: Matrix, _ body: (BFloat16Matrix) -> Void) {
        settings.pointee.roundedOperands.with(a, body)
    }

    /// Runs `body` with one operand rounded to bfloat16, in memory for a number of rows with nothing between them.
    func withRounded(_ a: Matrix, inMemoryForRows rows: Int, _ body: (BFloat16Matrix) -> Void) {
        settings.pointee.roundedOperands.with(a, inMemoryForRows: rows, body)
    }

    /// Products with weights that are blocked; nil in float32.
    var blockProducts: BlockProducts? { settings.pointee.blockProducts }
}
