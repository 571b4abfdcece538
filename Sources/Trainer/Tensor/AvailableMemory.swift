import Glibc
import Shared

/// The memory that this process may still take: the machine's, or what a control group leaves of its limit.
///
/// Pages of files that the kernel would drop count as available, in a control group too. (Linux's
/// Documentation/filesystems/proc.rst, MemAvailable; admin-guide/cgroup-v2.rst, memory.max and memory.stat.)
struct AvailableMemory: Equatable {
    let bytes: Int
    /// What limits it, as in "this machine has" or "control group /kubepods/x has".
    let owner: String

    /// - Parameter root: Where `/proc` and `/sys` are.
    /// - Returns: nil where the kernel doesn't tell.
    static func read(root: String = "") -> AvailableMemory? {
        let machine = number("MemAvailable:", in: lines("\(root)/proc/meminfo")).map {
            AvailableMemory(bytes: $0 * 1024, owner: "this machine has")
        }
        let groups = lines("\(root)/proc/self/cgroup").flatMap { line -> [AvailableMemory] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            // In a container the group's own path may lead nowhere, and its files are the root's.
            let paths = ancestors(String(fields[2]))
            if fields[0] == "0" {
                return paths.compactMap { leftOver($0, root: "\(root)/sys/fs/cgroup", .v2) }
            }
            guard fields[1].split(separator: ",").contains("memory") else { return [] }
            return paths.compactMap { leftOver($0, root: "\(root)/sys/fs/cgroup/memory", .v1) }
        }
        return ([machine].compactMap { $0 } + groups).min { $0.bytes < $1.bytes }
    }

    /// - Throws: `NotEnoughMemory` if `needed` bytes are more than what is available.
    func expect(_ needed: Int, for what: String) throws(NotEnoughMemory) {
        guard needed > bytes else { return }
        throw NotEnoughMemory(what: what, needed: needed, available: self)
    }

    // MARK: - Control groups

    /// The files of one version of control groups.
    private struct Files {
        let limit, usage: String
        /// The lines of `memory.stat` with pages that can be dropped.
        let cached: [String]

        static let v1 = Files(
            limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes",
            cached: ["total_inactive_file", "total_active_file"])
        static let v2 = Files(limit: "memory.max", usage: "memory.current", cached: ["inactive_file", "active_file"])
    }

    /// A group and those that it is in, whose limits hold for it too.
    private static func ancestors(_ path: String) -> [String] {
        let names = path.split(separator: "/")
        return (0...names.count).map { "/" + names.prefix($0).joined(separator: "/") }
    }

    private static func leftOver(_ group: String, root: String, _ files: Files) -> AvailableMemory? {
        let folder = group == "/" ? root : root + group
        guard let limit = lines("\(folder)/\(files.limit)").first.flatMap({ Int($0) }),
            let usage = lines("\(folder)/\(files.usage)").first.flatMap({ Int($0) })
        else { return nil }
        let statistics = lines("\(folder)/memory.stat")
        let cached = files.cached.reduce(0) { $0 + (number($1, in: statistics) ?? 0) }
        return AvailableMemory(bytes: max(0, limit - max(0, usage - cached)), owner: "control group \(group) has")
    }

    // MARK: - The kernel's small files

    private static func lines(_ path: String) -> [String] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while case let count = fread(&block, 1, block.count, file), count > 0 { bytes += block[..<count] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// The number on the line that begins with a name.
    private static func number(_ name: String, in lines: [String]) -> Int? {
        for line in lines {
            let words = line.split(separator: " ")
            if words.count > 1, words[0] == name { return Int(words[1]) }
        }
        return nil
    }
}

/// What is wanted doesn't fit into memory: found before any of it is read.
struct NotEnoughMemory: Error, CustomStringConvertible {
    let what: String
    let needed: Int
    let available: AvailableMemory

    var description: String {
        func gigabytes(_ bytes: Int) -> String { "\(fixed(Double(bytes) / 1e9, 1)) GB" }
        return "\(what) takes \(gigabytes(needed)) of memory, \(available.owner) \(gigabytes(available.bytes)) "
            + "available: use --dtype bfloat16, more machines and a larger --tp-size, or a smaller target"
    }
}

/// Ends the program where the system gives no memory: nothing that is computed could go on.
func endWithoutMemory(for bytes: Int) -> Never {
    Log.error("the system gives no memory for \(bytes) bytes (a limit by ulimit -v, or no overcommit)")
    _exit(ExitCode.failed)
}
