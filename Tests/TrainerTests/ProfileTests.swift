import Synchronization
import Testing

@testable import Trainer

struct ProfileTests {
    /// A clock that tests set forward.
    private final class Clock: Sendable {
        private let instant = Mutex(ContinuousClock.now)
        var now: ContinuousClock.Instant { instant.withLock { $0 } }
        func wait(_ seconds: Int) { instant.withLock { $0 += .seconds(seconds) } }
    }

    private let clock = Clock()

    private func profile() -> Profile {
        let clock = clock
        return Profile { clock.now }
    }

    @Test func aPhaseWithinAnotherCountsForItselfAlone() {
        let profile = profile()
        profile.measure(.target) {
            clock.wait(2)
            profile.measure(.communication) { clock.wait(6) }
            profile.measure(.communication) { clock.wait(1) }
            clock.wait(8)
        }
        clock.wait(5)
        let times = profile.times
        #expect(times[.target] == PhaseTimes.Entry(seconds: 10, calls: 1))
        #expect(times[.communication] == PhaseTimes.Entry(seconds: 7, calls: 2))
        #expect(times.other == 5 && times.elapsed == 22)
    }

    @Test func anErrorEndsAPhase() {
        let profile = profile()
        #expect(throws: TrainingError.self) {
            try profile.measure(.draft) {
                clock.wait(1)
                throw TrainingError(message: "")
            }
        }
        let before = profile.times
        clock.wait(2)
        let interval = profile.times.since(before)
        #expect(before[.draft] == PhaseTimes.Entry(seconds: 1, calls: 1))
        #expect(interval[.draft] == PhaseTimes.Entry() && interval.other == 2)
    }

    @Test func aReportHasTheMeanTheLeastAndTheMostOfTheRanks() throws {
        let reports = try ThreadCommunicator.run(3) { world in
            var times = PhaseTimes()
            times[.target] = PhaseTimes.Entry(seconds: Double(world.rank + 1), calls: 4)
            times.elapsed = 4
            return ProfileReport(times, over: world)
        }
        for report in reports {
            let target = report.lines.first { $0.name == "target" }
            #expect(target == ProfileReport.Line(name: "target", mean: 2, least: 1, most: 3, calls: 4))
            #expect(report.lines.last?.mean == 2 && report.elapsed == 4)
            #expect(report.share(of: .target) == 0.5 && report.share(of: .optimizer) == 0)
            #expect(
                report.text == """
                      phase   seconds   share      over ranks  calls
                      target    2.000   50.0%  1.000 to 3.000      4
                      other     2.000   50.0%  1.000 to 3.000
                      all       4.000  100.0%
                    """)
        }
    }

    @Test func aLargeShareOfTheOptimizerIsNoted() {
        #expect(OptimizerShare.note(0.3, orthogonalizes: true) == nil)
        for orthogonalizes in [false, true] {
            let note = OptimizerShare.note(0.754, orthogonalizes: orthogonalizes)
            #expect(note?.hasPrefix("the optimizer takes 75% of a step") == true)
            #expect(note?.contains("--optimizer adamw") == orthogonalizes)
        }
    }
}
