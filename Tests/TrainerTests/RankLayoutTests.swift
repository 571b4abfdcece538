import Testing

@testable import Trainer

/// Ranks get CPUs of their own, and a layout that starves them is said.
struct RankLayoutTests {
    @Test(arguments: [(1, 1, 1), (8, 1, 8), (8, 2, 4), (8, 3, 2), (2, 4, 1)])
    func ranksThatShareCPUsDivideThem(cpus: Int, sharers: Int, threads: Int) {
        #expect(RankLayout(cores: cpus, sharers: sharers).threads == threads)
    }

    @Test func aLayoutThatStarvesIsSaid() {
        #expect(RankLayout(cores: 1, sharers: 1).warning(threads: 1) == nil)
        #expect(RankLayout(cores: 4, sharers: 2).warning(threads: 2) == nil)
        let bound = RankLayout(cores: 1, sharers: 1).warning(threads: 2)
        #expect(bound?.contains("2 threads share 1 core,") == true && bound?.contains("--bind-to none") == true)
        let shared = RankLayout(cores: 2, sharers: 2).warning(threads: 2)
        #expect(shared?.contains("2 ranks of 2 threads share 2 cores") == true)
        let many = RankLayout(cores: 2, sharers: 4).warning(threads: 1)
        #expect(many?.contains("4 ranks of 1 thread share 2 cores") == true && many?.contains("at most 2") == true)
    }

    @Test func idleCPUsAreSaid() {
        #expect(RankLayout.idleNote(threads: 2, machine: 2) == nil)
        #expect(RankLayout.idleNote(threads: 5, machine: 8) == nil)
        #expect(RankLayout.idleNote(threads: 2, machine: 64)?.contains("2 of this machine's 64 cores") == true)
    }

    /// Two ranks of a machine that share all of it get a half each, whose cores are neighbours; hyperthreads stay free.
    @Test func threadsThatFillTheirCoresAreBoundToThem() {
        let order = [0, 2, 4, 6, 1, 3, 5, 7]
        let ranks = (0..<2).map { RankLayout(cores: 4, sharers: 2, position: $0) }
        #expect(ranks.map { $0.pinned(threads: 2, order: order) } == [[0, 2], [4, 6]])
        #expect(RankLayout(cores: 4, sharers: 1).pinned(threads: 4, order: order) == [0, 2, 4, 6])
        #expect(RankLayout(cores: 4, sharers: 1).pinned(threads: 2, order: order).isEmpty)
        #expect(RankLayout(cores: 4, sharers: 1).pinned(threads: 8, order: order).isEmpty)
        #expect(RankLayout(cores: 1, sharers: 2, position: 1).pinned(threads: 1, order: [0, 1]).isEmpty)
    }

    @Test(arguments: [1, 3]) func ranksOfOneMachineFindEachOther(ranks: Int) throws {
        let layouts = try ThreadCommunicator.run(ranks) { RankLayout(among: $0.splitByMachine()) }
        #expect(layouts.allSatisfy { $0.sharers == ranks && $0.cores >= 1 })
        #expect(layouts.map(\.position) == Array(0..<ranks))
    }
}
