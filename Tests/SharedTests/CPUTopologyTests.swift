import Foundation
import TestSupport
import Testing

@testable import Shared

/// Where threads are put: one on each core first, those of a node together.
struct CPUTopologyTests {
    /// Two sockets of two cores of two threads each, numbered as Linux does: all first threads, then all second ones.
    private func twoSockets(_ body: (_ root: String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "topology-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        func write(_ path: String, _ text: String) throws {
            let url = folder.appending(path: path)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data((text + "\n").utf8).write(to: url)
        }
        for cpu in 0..<8 {
            try write("cpu/cpu\(cpu)/topology/physical_package_id", "\(cpu % 4 / 2)")
            try write("cpu/cpu\(cpu)/topology/core_id", "\(cpu % 2)")
        }
        try write("node/node0/cpulist", "0-1,4-5")
        try write("node/node1/cpulist", "2-3,6-7")
        try body(folder.path)
    }

    @Test func oneThreadOfEachCoreComesFirst() throws {
        try twoSockets { root in
            let all = CPUTopology(Array(0..<8), root: root)
            #expect(all.order == [0, 1, 2, 3, 4, 5, 6, 7] && all.cores == 4)
            // What the process is bound to, whichever thread of a core that is.
            let some = CPUTopology([1, 2, 5, 6, 7], root: root)
            #expect(some.order == [1, 2, 7, 5, 6] && some.cores == 3)
        }
    }

    @Test func cpusThatNobodyDescribesAreCoresOfTheirOwn() {
        let topology = CPUTopology([3, 1, 2], root: "/nonexistent")
        #expect(topology.cores == 3 && Set(topology.order) == [1, 2, 3])
        #expect(CPUTopology([], root: "/nonexistent").order.isEmpty)
    }

    @Test func thisProcessHasAtLeastACore() {
        #expect(1...Machine.availableCPUs ~= CPUTopology.allowed.cores)
        #expect(CPUTopology.allowed.cores <= CPUTopology.machine.cores)
        #expect(Set(CPUTopology.allowed.order) == Set(Machine.allowedCPUs))
    }

    @Test func listsOfTheKernelAreRead() {
        #expect(CPUTopology.numbers("0-3,8") == [0, 1, 2, 3, 8] && CPUTopology.numbers("5") == [5])
        #expect(CPUTopology.numbers("").isEmpty && CPUTopology.numbers("x,4-2").isEmpty)
    }

    /// A thread that a bound one starts may run everywhere all the same.
    @Test func threadsBeginOnAllCPUs() throws {
        nonisolated(unsafe) var counts: [Int] = []
        let outer = try WorkerThread {
            Machine.bindThread(to: Array(Machine.allowedCPUs.prefix(1)))
            counts.append(Machine.currentCPUs.count)
            try? WorkerThread { counts.append(Machine.currentCPUs.count) }.join()
        }
        outer.join()
        #expect(counts == [1, Machine.allowedCPUs.count])
    }
}
