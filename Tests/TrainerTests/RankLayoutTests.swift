import Testing

@testable import Trainer

/// Ranks get CPUs of their own, and a layout that starves them is said.
struct RankLayoutTests {
    @Test(arguments: [(1, 1, 1), (8, 1, 8), (8, 2, 4), (8, 3, 2), (2, 4, 1)])
    func ranksThatShareCPUsDivideThem(cpus: Int, sharers: Int, threads: Int) {
        #expect(RankLayout(cpus: cpus, sharers: sharers).threads == threads)
    }

    @Test func aLayoutThatStarvesIsSaid() {
        #expect(RankLayout(cpus: 1, sharers: 1).warning(threads: 1) == nil)
        #expect(RankLayout(cpus: 4, sharers: 2).warning(threads: 2) == nil)
        let bound = RankLayout(cpus: 1, sharers: 1).warning(threads: 2)
        #expect(bound?.contains("2 threads share 1 CPU,") == true && bound?.contains("--bind-to none") == true)
        let shared = RankLayout(cpus: 2, sharers: 2).warning(threads: 2)
        #expect(shared?.contains("2 ranks of 2 threads share 2 CPUs") == true)
        let many = RankLayout(cpus: 2, sharers: 4).warning(threads: 1)
        #expect(many?.contains("4 ranks of 1 thread share 2 CPUs") == true && many?.contains("at most 2") == true)
    }

    @Test func idleCPUsAreSaid() {
        #expect(RankLayout.idleNote(threads: 2, machine: 2) == nil)
        #expect(RankLayout.idleNote(threads: 5, machine: 8) == nil)
        #expect(RankLayout.idleNote(threads: 2, machine: 64)?.contains("2 of this machine's 64 CPUs") == true)
    }

    @Test(arguments: [1, 3]) func ranksOfOneMachineFindEachOther(ranks: Int) throws {
        let layouts = try ThreadCommunicator.run(ranks) { RankLayout(among: $0.splitByMachine()) }
        #expect(layouts.allSatisfy { $0.sharers == ranks && $0.cpus >= 1 })
    }
}
