@preconcurrency import Glibc

/// This process's rank among those that `mpirun` started to work on one build together.
///
/// Open MPI gives it in the environment. MPI itself isn't needed: what ranks have to tell each other goes through the cache
/// directory, and a run without `mpirun` begins as quickly as ever.
struct LaunchedRank: Equatable {
    let rank: Int
    let count: Int
    /// What the launcher calls this run: the same for all of its ranks, and for no other run.
    let launch: String

    /// - Returns: nil if this process works alone.
    /// - Throws: `LaunchError` if it was started with others by a launcher that isn't known.
    static func current(_ environment: (String) -> String? = Self.variable) throws(LaunchError) -> LaunchedRank? {
        func number(_ name: String) -> Int? { environment(name).flatMap { Int($0) } }
        if let rank = number("OMPI_COMM_WORLD_RANK"), let count = number("OMPI_COMM_WORLD_SIZE"), count > 1 {
            guard let launch = environment("PMIX_NAMESPACE") ?? environment("OMPI_MCA_ess_base_jobid") else {
                throw LaunchError(message: "mpirun doesn't say which run this is: PMIX_NAMESPACE is not set")
            }
            let name = launch.utf8.map { isPlain($0) ? String(UnicodeScalar($0)) : "_" }.joined()
            return LaunchedRank(rank: rank, count: count, launch: name)
        }
        if environment("OMPI_COMM_WORLD_SIZE") == nil, let count = number("PMI_SIZE"), count > 1 {
            throw LaunchError(message: "was started \(count) times by a launcher that isn't Open MPI's mpirun")
        }
        return nil
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: false
        }
    }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// Why ranks can't work together.
struct LaunchError: Error, Equatable, CustomStringConvertible {
    let message: String
    var description: String { message }
}
