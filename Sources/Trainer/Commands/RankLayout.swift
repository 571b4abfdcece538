@preconcurrency import Glibc
import Shared

/// The CPUs of a rank, and how many ranks of its machine share them.
struct RankLayout: Equatable {
    /// CPUs that the rank may use: those that it is bound to, or all of its machine.
    let cpus: Int
    /// Ranks that may use these same CPUs, this one included.
    let sharers: Int

    /// Threads that leave every rank CPUs of its own.
    var threads: Int { max(1, cpus / max(1, sharers)) }

    /// What to say of that many threads, if they oversubscribe the rank's CPUs.
    func warning(threads: Int) -> String? {
        guard threads * sharers > cpus else { return nil }
        let own = "\(threads) thread\(threads == 1 ? "" : "s")"
        let all = sharers > 1 ? "\(sharers) ranks of \(own)" : own
        let advice =
            sharers > cpus
            ? "start at most \(cpus) here"
            : "leave out --num-threads" + (sharers > 1 ? "" : ", or give the rank more by mpirun --bind-to none")
        return "\(all) share \(cpus) CPU\(cpus == 1 ? "" : "s"), and take turns instead of computing together: "
            + advice
    }

    /// What to say where the ranks of a machine leave at least half of its CPUs idle, as ranks that are bound to a core.
    static func idleNote(threads: Int, machine cpus: Int) -> String? {
        guard 2 * threads <= cpus else { return nil }
        return "the ranks here use \(threads) of this machine's \(cpus) CPUs: mpirun --bind-to none lets them use all"
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
        cpus = Machine.availableCPUs
        sharers = all.filter { $0 == Double(own) }.count
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

    /// CPUs of the machine.
    static var machineCPUs: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
