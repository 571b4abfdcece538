import Glibc
import Shared

/// The cores of a rank, and how many ranks of its machine share them.
struct RankLayout: Equatable {
    /// Physical cores that the rank may use: those that it is bound to, or all of its machine.
    ///
    /// The second thread of a core adds nothing to products.
    let cores: Int
    /// Ranks that may use these same cores, this one included.
    let sharers: Int
    /// How many of them come before this one.
    var position = 0

    /// Threads that leave every rank cores of its own.
    var threads: Int { max(1, cores / max(1, sharers)) }

    /// The CPUs that this rank's threads are bound to, one of each core, those of a NUMA node together; none if the
    /// threads don't fill its cores, as others may then run on them too.
    ///
    /// - Parameter order: The CPUs that the rank may use, one of each core first.
    func pinned(threads: Int, order: [Int]) -> [Int] {
        let first = position * threads
        guard threads == self.threads, first + threads <= min(cores, order.count) else { return [] }
        return Array(order[first..<first + threads])
    }

    /// What to say of that many threads, if they oversubscribe the rank's cores.
    func warning(threads: Int) -> String? {
        guard threads * sharers > cores else { return nil }
        let own = "\(threads) thread\(threads == 1 ? "" : "s")"
        let all = sharers > 1 ? "\(sharers) ranks of \(own)" : own
        let advice =
            sharers > cores
            ? "start at most \(cores) here"
            : "leave out --num-threads" + (sharers > 1 ? "" : ", or give the rank more by mpirun --bind-to none")
        return "\(all) share \(cores) core\(cores == 1 ? "" : "s"), which oversubscribes them: "
            + advice
    }

    /// What to say where the ranks of a machine leave at least half of its cores idle, as ranks that are bound to a core.
    static func idleNote(threads: Int, machine cores: Int) -> String? {
        guard 2 * threads <= cores else { return nil }
        return "the ranks here use \(threads) of this machine's \(cores) cores: mpirun --bind-to none lets them use all"
    }
}

extension RankLayout {
    /// The layout of this rank among those of its machine.
    ///
    /// Collective: call on all of these.
    init(among neighbours: any Communicator) {
        let own = Digest(of: Self.allowedCPUs).high >> 12
        var all = [Double](repeating: 0, count: neighbours.size)
        all[neighbours.rank] = Double(own)
        all = neighbours.sum(all)
        cores = max(1, CPUTopology.allowed.cores)
        sharers = all.filter { $0 == Double(own) }.count
        position = all.prefix(neighbours.rank).filter { $0 == Double(own) }.count
    }

    /// The CPUs that this process may use, as the kernel writes them: "0-3,8".
    private static var allowedCPUs: String {
        guard let file = fopen("/proc/self/status", "r") else { return "" }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            if text.hasPrefix("Cpus_allowed_list:") { return text }
        }
        return ""
    }
}
