import Dispatch
import Glibc
import Synchronization
import Testing

@testable import Shared
@testable import Trainer

struct ThreadTeamTests {
    /// Adds up 0..<count by whatever threads come, each taking the next number.
    private func sum(_ count: Int, by team: ThreadTeam, _ threads: Int) -> Int {
        let next = Atomic<Int>(0)
        let total = Atomic<Int>(0)
        team.run(threads) { _, _ in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                total.wrappingAdd(index, ordering: .relaxed)
            }
        }
        return total.load(ordering: .relaxed)
    }

    @Test(arguments: [1, 2, 3, 8, 20], [false, true])
    func runsOnceOnEachThread(threads: Int, staysAwake: Bool) {
        let team = ThreadTeam()
        for round in 0..<(threads > 8 ? 20 : 200) {
            let seen = Mutex<[Int]>([])
            team.run(threads, staysAwake: staysAwake) { thread, _ in seen.withLock { $0.append(thread) } }
            #expect(seen.withLock { $0.sorted() } == Array(0..<threads), "round \(round)")
        }
    }

    @Test func numbersOfThreadsMayChange() {
        let team = ThreadTeam()
        for threads in [2, 5, 1, 3, 5, 2] { #expect(sum(1_000, by: team, threads) == 499_500) }
    }

    /// What the calling thread wrote before a loop, threads read in it, and the other way round.
    @Test func threadsSeeEachOthersWrites() {
        let team = ThreadTeam()
        let threads = 4
        let numbers = UnsafeMutableBufferPointer<Int>.allocate(capacity: threads)
        defer { numbers.deallocate() }
        numbers.initialize(repeating: 0)
        for _ in 0..<2_000 {
            for i in 0..<threads { numbers[i] += 1 }
            team.run(threads) { thread, _ in numbers[thread] *= -1 }
            for i in 0..<threads { numbers[i] *= -1 }
        }
        #expect(numbers.allSatisfy { $0 == 2_000 })
    }

    @Test func wakesAfterAPause() {
        let team = ThreadTeam()
        for _ in 0..<20 {
            #expect(sum(100, by: team, 2) == 4_950)
            usleep(2_000)
        }
    }

    /// A loop within a loop, and loops of several threads at a time, are run by who asks.
    @Test func aBusyTeamLeavesTheLoopToTheCaller() {
        let team = ThreadTeam()
        let total = Atomic<Int>(0)
        team.run(3) { _, _ in total.wrappingAdd(sum(10, by: team, 3), ordering: .relaxed) }
        #expect(total.load(ordering: .relaxed) == 3 * 45)
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            for _ in 0..<500 { #expect(sum(10, by: team, 3) == 45) }
        }
    }

    @Test(arguments: [Duration.zero, .microseconds(100)])
    func aGateLetsPassOnceForEachTimeItOpens(patience: Duration) throws {
        let there = Gate()
        let back = Gate()
        let passed = Atomic<Int>(0)
        let other = try WorkerThread {
            for _ in 0..<5_000 {
                there.pass(patience: patience)
                passed.wrappingAdd(1, ordering: .relaxed)
                back.open()
            }
        }
        for turn in 1...5_000 {
            there.open()
            back.pass(patience: patience)
            #expect(passed.load(ordering: .relaxed) == turn)
        }
        other.join()
    }
}
