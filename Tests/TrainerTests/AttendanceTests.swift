import Foundation
import Shared
import Synchronization
import Testing

@testable import Trainer

/// Ranks that work for long tell the others so, and all of them stop together.
struct AttendanceTests {
    /// A wait ends with each beat of the rank that works: it is never as long as the work.
    @Test(arguments: [1, 2, 5], [0, 1, 20])
    func whoIsDoneHearsOfEachBeatOfWhoWorks(ranks: Int, beats: Int) throws {
        let counts = try ThreadCommunicator.run(ranks) { world in
            let counting = CountingRanks(world)
            let result = try counting.together { beat in
                if world.rank == ranks - 1 { for _ in 0..<beats { try beat() } }
                return world.rank
            }
            #expect(result == world.rank)
            return counting.started
        }
        for count in counts { #expect(count >= beats, "a rank waited through \(beats) beats in \(count) exchanges") }
    }

    @Test(arguments: [0, 1, 2], [true, false])
    func aSignalToAnyRankStopsAllOfThem(signalled: Int, areBusy: Bool) throws {
        let ends = try ThreadCommunicator.run(3) { world in
            let attendance = Attendance(world, isAskedToStop: { world.rank == signalled })
            do {
                if areBusy || world.rank == 0 { for _ in 0..<1000 { try attendance.beat() } }
                try attendance.finish()
            } catch is Interrupted {
                return attendance.isInterrupted
            }
            return false
        }
        #expect(ends == [true, true, true])
    }

    @Test(arguments: [1, 3]) func whatFailsOnTheFirstRankFailsOnAll(ranks: Int) throws {
        struct Failure: Error {}
        let errors = try ThreadCommunicator.run(ranks) { world in
            do {
                try world.onFirstRank { beat in
                    try beat()
                    throw Failure()
                }
                return "none"
            } catch {
                return "\(type(of: error))"
            }
        }
        #expect(errors == (0..<ranks).map { $0 == 0 ? "Failure" : "FailedOnFirstRank" })
    }

    @Test(arguments: ["", "run/step_4", "ключ/🦅"]) func allRanksGetTheFirstOnesText(text: String) throws {
        let texts = try ThreadCommunicator.run(3) { $0.broadcast($0.rank == 0 ? text : "another") }
        #expect(texts == [text, text, text])
    }

    private static func interrupt(after most: Int, _ pieces: borrowing Mutex<Int>) throws {
        let count = pieces.withLock { count in
            count += 1
            return count
        }
        if count == most { throw Interrupted() }
    }

    /// Weights are read up to the piece at which the work is told to end; by one thread, so that pieces can be counted.
    @Test func theLoadingOfWeightsIsEndedByASignal() throws {
        let golden = try TargetGolden("llama")
        let pieces = Mutex(0)
        #expect(throws: Interrupted.self) {
            let plan = WeightPlan(try WeightDirectory(golden.directory), Compute())
            let weight = plan.weight(rows: 4096, columns: 8)
            for row in 0..<8 {
                plan.read(
                    try plan.tensor("model.norm.weight", [32]), .matrix, outputs: [0], inputs: 0..<8,
                    into: weight[rows: row..<row + 1])
            }
            try plan.fill([.ends]) { try Self.interrupt(after: 3, pieces) }
        }
        #expect(pieces.withLock { $0 } == 3)
    }

    /// What the calling thread has read from files so far, in bytes.
    private static func bytesRead() -> Int? {
        guard let file = fopen("/proc/thread-self/io", "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return text.split(separator: " ").last.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// Of the checkpoints' files the others read the state alone, as restoring comes later.
    @Test(.enabled(if: bytesRead() != nil, "the kernel doesn't count what a thread reads"))
    func theFirstRankAloneVerifiesCheckpoints() throws {
        try withTemporaryDirectory { directory in
            let run = try GoldenRun("llama")
            let grid = try ProcessGrid(world: AbsentRanks(), tpSize: 1)
            let loop = try TrainingLoop(
                grid: grid, model: run.trainer(grid.tensorParallel), samples: run.samples,
                settings: TrainingSettings(globalBatchSize: 2))
            let checkpoints = Checkpoints(directory: directory)
            for step in 1...2 {
                _ = try loop.run()
                try checkpoints.save(
                    checkpointContents(loop), name: "step_\(step)", isBest: false, world: AbsentRanks())
            }
            let damaged = "\(directory)/step_2/training_state.safetensors"
            var bytes = try readFile(damaged)
            bytes[bytes.count - 1] ^= 1
            try writeFile(damaged, bytes)
            let size = bytes.count
            let found = try ThreadCommunicator.run(3) { world in
                let before = try #require(Self.bytesRead())
                let found = try checkpoints.newest(world)
                return (found?.path, found?.state.step, try #require(Self.bytesRead()) - before)
            }
            for (rank, (path, step, read)) in found.enumerated() {
                #expect(path == "\(directory)/step_1" && step == 1)
                #expect(rank == 0 ? read >= 2 * size : read < size / 2, "rank \(rank) read \(read) of \(size) bytes")
            }
        }
    }
}
