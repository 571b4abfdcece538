import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// What a run that was ended at any moment left is cleared away, and nothing that is whole is lost.
struct CheckpointDirectoryTests {
    @Test(arguments: [
        ("500", SaveInterval.steps(500)), ("30m", .time(.seconds(1800))), ("2h", .time(.seconds(7200))),
        ("90s", .time(.seconds(90))), ("1.5h", .time(.seconds(5400))),
    ])
    func aSaveIntervalIsStepsOrTime(text: String, interval: SaveInterval) {
        #expect(SaveInterval(argument: text) == interval)
    }

    @Test(arguments: ["", "0", "-5", "m", "0m", "-1h", "5d", "2.5", "infh", "nanm", "1e9h"])
    func whatIsNoSaveIntervalIsRefused(text: String) { #expect(SaveInterval(argument: text) == nil) }

    @Test func aCheckpointIsDueByStepsOrByTime() {
        #expect(SaveInterval.steps(4).isDue(step: 8, sinceLast: .zero))
        #expect(!SaveInterval.steps(4).isDue(step: 9, sinceLast: .seconds(1e6)))
        #expect(SaveInterval.time(.seconds(60)).isDue(step: 1, sinceLast: .seconds(60)))
        #expect(!SaveInterval.time(.seconds(60)).isDue(step: 1, sinceLast: .seconds(59)))
    }

    @Test func aStateIsReadAsItWasWritten() throws {
        try withTemporaryDirectory { directory in
            var state = CheckpointState(
                step: 7, epoch: 1, updates: 5, isEvaluationDue: true,
                settings: ["--seed": "3"], provenance: ["ranks": "2"])
            state.faults.skippedSteps = 2
            state.faults.skippedInARow = 1
            state.faults.badSamples = 4
            try writeFile("\(directory)/\(CheckpointState.fileName)", state.json(digests: ["a": "b"]).pretty.utf8)
            let read = try CheckpointState.read(directory)
            #expect(read.state == state && read.digests == ["a": "b"])
        }
    }

    /// Where other kernels multiply now, a run doesn't go on bit by bit, and says so.
    @Test func otherKernelsThanTheCheckpointsAreSaid() {
        var state = CheckpointState(step: 1, epoch: 0, updates: 1, settings: [:], provenance: [:])
        #expect(state.note(kernels: BLAS.kernels) == nil, "of a checkpoint that doesn't tell")
        state.provenance[CheckpointState.kernels] = BLAS.kernels
        #expect(state.note(kernels: BLAS.kernels) == nil)
        let note = state.note(kernels: "OpenBLAS Haswell, oneDNN 3.1 AVX2")
        #expect(note?.contains("was computed by \(BLAS.kernels), this CPU has OpenBLAS Haswell") == true)
        #expect(BLAS.kernels.contains("OpenBLAS \(BLAS.coreName), oneDNN ") && !BLAS.kernels.contains("unknown"))
    }

    @Test func whatAnEndedRunLeftIsClearedAway() throws {
        try withTemporaryDirectory { directory in
            for name in [".step_8.partial", ".step_4.replaced", ".epoch_1.replaced", "epoch_1", ".hidden"] {
                try makeDirectory("\(directory)/\(name)")
                try writeFile("\(directory)/\(name)/config.json", "{}".utf8)
            }
            symlink("epoch_1", "\(directory)/.latest.partial")
            try Checkpoints(directory: directory).tidy()
            #expect(try listDirectory(directory) == [".hidden", "epoch_1", "step_4"])
            #expect(fileExists("\(directory)/step_4/config.json"))
        }
    }

    @Test func whatCannotBeReadNeitherCountsAsKeptNorIsRemoved() throws {
        try withTemporaryDirectory { directory in
            for step in 1...4 {
                let state = CheckpointState(step: step, epoch: 0, updates: step, settings: [:], provenance: [:])
                try makeDirectory("\(directory)/step_\(step)")
                let text = step == 2 ? "{" : state.json(digests: [:]).pretty
                try writeFile("\(directory)/step_\(step)/\(CheckpointState.fileName)", text.utf8)
            }
            try Checkpoints(directory: directory, keepLast: 2).prune()
            #expect(try listDirectory(directory) == ["step_2", "step_3", "step_4"])
        }
    }
}
