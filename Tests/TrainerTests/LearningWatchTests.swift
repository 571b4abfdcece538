import Shared
import Testing

@testable import Trainer

/// A run that learns nothing says so, and why, and fails.
struct LearningWatchTests {
    private func report(labels: Double, learnt: Double) -> TrainingLoop.StepReport {
        var statistics = TrainingStatistics(positions: 1)
        statistics.positions[0].labels = labels
        statistics.positions[0].learnt = learnt
        return TrainingLoop.StepReport(
            step: 1, statistics: statistics, learningRate: 0, gradNorm: 1, tokens: 1, samples: [1], badSamples: [],
            waited: .zero, targetCache: nil, isSkipped: false, nonFiniteSamples: [], isInterrupted: false)
    }

    @Test(arguments: [(0.0, "samples of one or two tokens"), (7, "outside the draft vocabulary")])
    func aRunThatLearnsNothingFailsWithTheReason(labels: Double, reason: String) {
        var watch = LearningWatch()
        for _ in 0..<8 { watch.note(report(labels: labels, learnt: 0)) }
        let error = #expect(throws: TrainingError.self) { try watch.expectSomethingLearnt() }
        #expect(error?.message.contains(reason) == true)
    }

    @Test func aRunThatLearnsLateOrDoesNoStepIsFine() throws {
        var watch = LearningWatch()
        try watch.expectSomethingLearnt()
        for _ in 0..<8 { watch.note(report(labels: 0, learnt: 0)) }
        watch.note(report(labels: 3, learnt: 1))
        try watch.expectSomethingLearnt()
    }
}
