import Testing

@testable import Trainer

/// How the learning rate rises and falls.
struct LearningRateScheduleTests {
    @Test(arguments: LearningRateSchedule.Decay.allCases)
    func itRisesInALineAndFallsToNothing(decay: LearningRateSchedule.Decay) {
        let schedule = LearningRateSchedule(peak: 0.5, warmupRatio: 0.2, totalSteps: 10, decay: decay)
        let rates = (0..<11).map(schedule.learningRate)
        #expect(rates[0] == 0.25 && rates[1] == 0.5 && rates[2] == 0.5)
        #expect(zip(rates[2...], rates[3...]).allSatisfy { $0.0 > $0.1 } && rates[9] > 0)
        #expect(abs(rates[10]) < 1e-7)
        let middle = schedule.learningRate(at: 6)
        #expect(abs(middle - 0.25) < 1e-6)
        // A quarter of the way down the line is lower.
        #expect(abs(rates[4] - (decay == .linear ? 0.375 : 0.426_776_7)) < 1e-6)
    }
}
