import Shared
import TestSupport
import Testing

@testable import Trainer

/// What doesn't fit into memory is refused before it is read, and a model can be laid out whatever its size.
struct AvailableMemoryTests {
    private static let machine = "MemTotal: 2000 kB\nMemAvailable:     1000 kB\n"

    private static func read(_ files: [(path: String, text: String)]) throws -> AvailableMemory? {
        let scratch = try ScratchDirectory()
        for (path, text) in [("proc/meminfo", machine)] + files {
            try makeDirectory("\(scratch.path)/\(path.split(separator: "/").dropLast().joined(separator: "/"))")
            _ = try scratch.write(path, text)
        }
        return withExtendedLifetime(scratch) { AvailableMemory.read(root: scratch.path) }
    }

    /// Files of a group: its limit, what it uses, and how much of that are pages that can be dropped.
    private static func group(_ path: String, _ limit: String, usage: Int, cached: Int) -> [(String, String)] {
        [
            ("sys/fs/cgroup\(path)/memory.max", "\(limit)\n"), ("sys/fs/cgroup\(path)/memory.current", "\(usage)\n"),
            ("sys/fs/cgroup\(path)/memory.stat", "anon 5\ninactive_file \(cached)\nactive_file 1\n"),
        ]
    }

    @Test func theMachinesMemoryCountsWhereNothingElseLimitsIt() throws {
        let expected = AvailableMemory(bytes: 1_024_000, owner: "this machine has")
        #expect(try Self.read([]) == expected)
        #expect(
            try Self.read([("proc/self/cgroup", "0::/a/b\n")] + Self.group("/a", "max", usage: 9, cached: 0))
                == expected)
    }

    @Test func theTightestControlGroupCounts() throws {
        let files =
            [("proc/self/cgroup", "0::/a/b\n")] + Self.group("/a", "600000", usage: 200_000, cached: 49_999)
            + Self.group("/a/b", "900000", usage: 100, cached: 0)
        #expect(try Self.read(files) == AvailableMemory(bytes: 450_000, owner: "control group /a has"))
    }

    /// In a container, the path is the host's, and the group's files are the root's.
    @Test func aContainersOwnLimitCounts() throws {
        let files =
            [("proc/self/cgroup", "0::/../../pod12\n")] + Self.group("", "5000", usage: 6000, cached: 1999)
        #expect(try Self.read(files) == AvailableMemory(bytes: 1000, owner: "control group / has"))
    }

    @Test func theFirstVersionOfControlGroupsCounts() throws {
        let files = [
            ("proc/self/cgroup", "3:cpu:/x\n2:hugetlb,memory:/x\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "7000"),
            ("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1000"),
            ("sys/fs/cgroup/memory/x/memory.stat", "total_inactive_file 10\ntotal_active_file 20\n"),
        ]
        #expect(try Self.read(files) == AvailableMemory(bytes: 6030, owner: "control group /x has"))
    }

    @Test func whatIsTooMuchIsSaidWithWhatThereIs() throws {
        let available = AvailableMemory(bytes: 24_000_000_000, owner: "this machine has")
        try available.expect(24_000_000_000, for: "the target")
        let error = #expect(throws: NotEnoughMemory.self) { try available.expect(32_100_000_000, for: "the target") }
        #expect(error?.description.hasPrefix("the target takes 32.1 GB of memory, this machine has 24.0 GB") == true)
    }

    @Test func thisMachineSaysWhatItHas() throws {
        let bytes = try #require(AvailableMemory.read()).bytes
        #expect(bytes > 1 << 20)
    }

    /// A terabyte of weights, of which nothing is read: as `Trainer plan` lays out a model that another machine has
    /// memory for.
    @Test func aModelLargerThanTheMachineIsLaidOut() {
        let before = Machine.peakResidentBytes
        let memory = FrozenWeights(isLaidOut: true)
        let weight = memory.matrix(rows: 1 << 19, columns: 1 << 19)
        #expect(memory.byteCount == 1 << 40 && weight[12_345, 67_890] == 0)
        memory.makeWritable()
        weight[12_345, 67_890] = 1
        #expect(weight[12_345, 67_890] == 1 && memory.matrix(rows: 1, columns: 1)[0, 0] == 0)
        #expect(Machine.peakResidentBytes - before < 64 << 20)
    }
}
