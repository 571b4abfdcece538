import Glibc

/// Runs the loops of a step as they would be cut for any number of threads, one piece after another on the calling
/// thread, and measures every piece: what `Trainer benchmark --scaling` says of machines that aren't there.
///
/// Time is the thread's CPU time, so that a piece is no longer where others use the CPU too. Used by one thread.
final class LoopRecorder: @unchecked Sendable {
    /// A loop that was run.
    struct Loop: Equatable {
        /// The function that has it, and what it works on.
        let name: String
        let phase: Profile.Phase?
        /// Seconds since the loop before it: what one thread does alone.
        let gap: Double
        /// Seconds of each piece, in the order in which threads take them.
        let pieces: [Double]
    }

    /// What was measured of a step.
    struct Step: Equatable {
        /// Threads that loops were cut for.
        let threads: Int
        let loops: [Loop]
        /// Seconds since the last loop.
        let rest: Double

        /// Two runs of the same step as one, in which each piece takes what it takes in the faster one.
        ///
        /// A piece that a hypervisor interrupts takes many times its time. Nil if they aren't of the same loops.
        func fastest(_ other: Step) -> Step? {
            guard threads == other.threads, loops.count == other.loops.count else { return nil }
            var both: [Loop] = []
            for (a, b) in zip(loops, other.loops) {
                guard a.name == b.name, a.phase == b.phase, a.pieces.count == b.pieces.count else { return nil }
                both.append(
                    Loop(name: a.name, phase: a.phase, gap: min(a.gap, b.gap), pieces: zip(a.pieces, b.pieces).map(min))
                )
            }
            return Step(threads: threads, loops: both, rest: min(rest, other.rest))
        }
    }

    /// How many threads loops are cut for, whether they are simulated or run.
    private(set) var threads: Int
    /// Whether loops are run on one thread and measured; by the threads that there are if not.
    private(set) var isSimulating = false
    private var isInLoop = false
    private var loops: [Loop] = []
    /// When the last loop ended.
    private var end = 0.0

    init(threads: Int) { self.threads = threads }

    /// Runs `body` with that many threads.
    func run<R>(threads: Int, _ body: () throws -> R) rethrows -> R {
        let before = self.threads
        defer { self.threads = before }
        self.threads = threads
        return try body()
    }

    /// Runs `body` with loops cut for that many threads, and measures it.
    func simulate(threads: Int, _ body: () throws -> Void) rethrows -> Step {
        try run(threads: threads) {
            isSimulating = true
            defer { isSimulating = false }
            loops = []
            end = Self.seconds
            try body()
            return Step(threads: threads, loops: loops, rest: Self.seconds - end)
        }
    }

    /// Runs a loop; one within another belongs to the piece that has it.
    func run(_ count: Int, _ name: () -> String, _ body: (_ index: Int, _ worker: Int) -> Void) {
        guard !isInLoop else {
            for index in 0..<max(0, count) { body(index, 0) }
            return
        }
        isInLoop = true
        defer { isInLoop = false }
        var pieces: [Double] = []
        pieces.reserveCapacity(max(0, count))
        let start = Self.seconds
        var last = start
        for index in 0..<max(0, count) {
            body(index, 0)
            let now = Self.seconds
            pieces.append(now - last)
            last = now
        }
        loops.append(Loop(name: name(), phase: Profile.current, gap: start - end, pieces: pieces))
        end = Self.seconds
    }

    /// "Attention+Backward.swift backward" of where a loop is.
    static func name(_ file: StaticString, _ function: StaticString) -> String {
        let file = "\(file)".split(separator: "/").last.map(String.init) ?? ""
        let function = "\(function)".prefix { $0 != "(" }
        return "\(file.hasSuffix(".swift") ? String(file.dropLast(6)) : file).\(function)"
    }

    /// CPU time of the calling thread.
    private static var seconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
    }
}
