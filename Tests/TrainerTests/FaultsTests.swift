import Shared
import TestSupport
import Testing

@testable import Trainer

/// Steps that give no number leave the draft as it was, name their samples, and too many of them end the run.
struct FaultsTests {
    private func report(_ step: Int, isSkipped: Bool) -> TrainingLoop.StepReport {
        TrainingLoop.StepReport(
            step: step, statistics: TrainingStatistics(positions: 1), learningRate: 0, gradNorm: 1, tokens: 1,
            samples: [step], badSamples: [], waited: .zero, targetCache: nil, isSkipped: isSkipped,
            nonFiniteSamples: [], isInterrupted: false)
    }

    @Test func tooManySkippedStepsInARowEndTheRun() throws {
        var faults = Faults()
        for step in 1..<Faults.mostSkippedInARow { try faults.note(report(step, isSkipped: true)) }
        try faults.note(report(10, isSkipped: false))
        #expect(faults.skippedInARow == 0 && faults.skippedSteps == Faults.mostSkippedInARow - 1)
        for step in 11..<10 + Faults.mostSkippedInARow { try faults.note(report(step, isSkipped: true)) }
        #expect(throws: TrainingError.self) { try faults.note(report(99, isSkipped: true)) }
    }

    /// Whichever rank has it, wherever its token without numbers stands, and whatever is computed beside it.
    @Test(
        arguments: [(1, 1, 1, false), (1, 1, 4, false), (3, 1, 1, true), (2, 2, 2, false), (4, 2, 1, true)], [0, 9, 17])
    func theSampleWithoutAFiniteLossIsNamed(
        run: (ranks: Int, tpSize: Int, batchSize: Int, isDeterministic: Bool), place: Int
    ) throws {
        let golden = try GoldenRun("llama")
        let bad = 2
        let used = Set(golden.samples.flatMap(\.inputIDs))
        // Token 0 follows each sequence.
        let token = try #require((1..<256).first { !used.contains($0) })
        var samples = golden.samples
        var ids = samples[bad].inputIDs
        ids[min(place, ids.count - 1)] = token
        samples[bad] = Sample(inputIDs: ids, lossMask: samples[bad].lossMask)
        let settings = TrainingSettings(
            numEpochs: 2, batchSize: run.batchSize, globalBatchSize: 4, learningRate: 1e-3, seed: 5,
            isDeterministic: run.isDeterministic)
        let (chosen, fixed) = (samples, settings)
        let reports = try ThreadCommunicator.run(run.ranks) { world in
            let grid = try ProcessGrid(world: world, tpSize: run.tpSize)
            let model = try golden.trainer(grid.tensorParallel)
            let target = try #require(model.target as? DecoderTargetModel)
            if target.vocabulary.contains(Int(token)) {
                let row = Int(token) - target.vocabulary.lowerBound
                target.embedding.weight[rows: row..<row + 1].fill(.nan)
            }
            let loop = try TrainingLoop(grid: grid, model: model, samples: chosen, settings: fixed)
            return try (0..<loop.totalSteps).map { _ in try loop.run() }
        }
        for report in reports.joined() {
            let isBad = report.samples.contains(bad)
            #expect(report.isSkipped == isBad && report.nonFiniteSamples == (isBad ? [bad] : []))
        }
    }
}
