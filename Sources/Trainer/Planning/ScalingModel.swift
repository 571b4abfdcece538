/// How long a step would take on some number of threads, by the pieces that its loops were cut into for them.
///
/// Threads take a loop's pieces in order, each when it is free, so that the loop takes as long as the last of them; with
/// the time to wake them, and with what one thread does alone between loops, these are the step's. What it leaves out:
/// threads that share a memory or a clock rate, which all slow each other down, and a socket's longer way to another's
/// memory. It is the most that a machine can reach with these loops.
struct ScalingModel {
    let threads: Int
    /// What one thread does between loops.
    let serial: Double
    /// Waking threads and waiting for the last to come back.
    let waking: Double
    /// All pieces, one after another.
    let work: Double
    /// All loops, without waking.
    let parallel: Double
    let loops: [LoopTimes]
    /// What one thread does between loops, by the phase of the loop that follows.
    let between: [String: Double]

    /// The loops of one name in one phase, together.
    struct LoopTimes: Equatable {
        let name: String
        let phase: Profile.Phase?
        var calls = 0
        /// Pieces of a loop, on average and at least.
        var pieces = 0.0
        var fewest = Int.max
        /// Seconds of all pieces, of the loops on `threads`, and of waking for them.
        var work = 0.0
        var parallel = 0.0
        var waking = 0.0
        /// Seconds that they would take if all their pieces were as long as the longest.
        fileprivate var longest = 0.0

        /// The longest piece's time as a multiple of the mean's.
        var unevenness: Double { work > 0 ? longest / work : 1 }
        var seconds: Double { parallel + waking }
    }

    /// What threads cost a loop.
    struct Costs: Equatable {
        /// Seconds from a thread's asking another until it has run nothing and is back: of one that looks out for it,
        /// and of one that sleeps.
        var awake = 1e-6
        var asleep = 5e-5
        /// Seconds of one cache line's way from core to core, which each further thread costs.
        var each = 6e-8
        /// Seconds of the system's call that wakes a sleeping thread.
        var call = 2e-6

        /// What a loop of that many threads costs, `gap` seconds after the last one.
        func waking(_ threads: Int, gap: Double) -> Double {
            guard threads > 1 else { return 0 }
            var (levels, reached) = (0, 1)
            while reached < threads { (levels, reached) = (levels + 1, reached * ThreadTeam.fanOut + 1) }
            let woken = Double(min(ThreadTeam.fanOut, threads - 1) - 1)
            let isAwake = gap < ThreadTeam.patience.seconds
            let level = isAwake ? awake + woken * each : asleep + woken * call
            return Double(levels) * level + Double(threads) * each
        }
    }

    init(_ step: LoopRecorder.Step, _ costs: Costs) {
        threads = step.threads
        var loops: [[String]: LoopTimes] = [:]
        for loop in step.loops {
            let key = [loop.name, loop.phase?.name ?? ""]
            var times = loops[key] ?? LoopTimes(name: loop.name, phase: loop.phase)
            times.calls += 1
            times.pieces += Double(loop.pieces.count)
            times.fewest = min(times.fewest, loop.pieces.count)
            times.work += loop.pieces.reduce(0, +)
            times.longest += Double(loop.pieces.count) * (loop.pieces.max() ?? 0)
            // Pieces are handed out one at a time.
            let handing = Double(max(0, loop.pieces.count - step.threads)) * (step.threads > 1 ? costs.each : 0)
            times.parallel += max(handing, Self.seconds(loop.pieces, threads: step.threads))
            times.waking += costs.waking(min(step.threads, loop.pieces.count), gap: loop.gap)
            loops[key] = times
        }
        self.loops = loops.values.map { times in
            var times = times
            times.pieces /= Double(times.calls)
            return times
        }.sorted { ($1.seconds, $1.name) < ($0.seconds, $0.name) }
        between = step.loops.reduce(into: ["": step.rest]) { $0[$1.phase?.name ?? "", default: 0] += $1.gap }
        serial = between.values.reduce(0, +)
        waking = self.loops.reduce(0) { $0 + $1.waking }
        work = self.loops.reduce(0) { $0 + $1.work }
        parallel = self.loops.reduce(0) { $0 + $1.parallel }
    }

    var seconds: Double { serial + waking + parallel }

    /// Until the last thread is done, where each takes the next piece when it is free.
    static func seconds(_ pieces: [Double], threads: Int) -> Double {
        guard pieces.count > threads else { return pieces.max() ?? 0 }
        var busy = Array(pieces.prefix(threads))
        for piece in pieces.dropFirst(threads) {
            var first = 0
            for thread in 1..<max(1, threads) where busy[thread] < busy[first] { first = thread }
            busy[first] += piece
        }
        return busy.max() ?? 0
    }
}

extension ScalingModel.Costs {
    /// Those of this machine, by a loop of two threads that do nothing; what one core alone can't tell is as it is on
    /// servers.
    static func measured(cores: Int) -> ScalingModel.Costs {
        var costs = ScalingModel.Costs()
        guard cores > 1 else { return costs }
        let team = ThreadTeam()
        func median(_ count: Int, _ body: () -> Double) -> Double {
            (0..<count).map { _ in body() }.sorted()[count / 2]
        }
        func loop() -> Double {
            let start = ContinuousClock.now
            team.run(2) { _, _ in }
            return (ContinuousClock.now - start).seconds
        }
        costs.awake = median(2001, loop)
        costs.asleep = median(51) {
            let start = ContinuousClock.now
            while (ContinuousClock.now - start).seconds < 1e-3 {}
            return loop()
        }
        return costs
    }
}
