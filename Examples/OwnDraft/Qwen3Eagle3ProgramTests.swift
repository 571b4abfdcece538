import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// The example draft in the programs' own hands: planned, trained, resumed and evaluated by their commands.
struct Qwen3Eagle3ProgramTests {
    private let scratch: ScratchDirectory
    private let target: [String]
    private let data: [String]
    private let grid: ProcessGrid

    /// A tiny target, and stores of a few conversations.
    init() throws {
        let stores = try TinyStores()
        (scratch, target, data) = (stores.scratch, stores.target, stores.data)
        grid = try ProcessGrid(world: AbsentRanks(), tpSize: 1, Compute(hasFixedCuts: true))
    }

    private func train(to directory: String, _ options: [String] = []) throws {
        let options = try TrainOptions.parse(
            target + data + [
                "--train-data-path", scratch.file("train.jsonl"), "--eval-data-path", scratch.file("eval.jsonl"),
                "--output-dir", scratch.file(directory), "--draft-architecture", "Eagle3Qwen3ForCausalLM",
                "--draft-vocab-size", "96", "--ttt-length", "3", "--total-steps", "6", "--draft-global-batch-size", "4",
                "--save-interval", "2", "--eval-max-samples", "2", "--eval-max-new-tokens", "8", "--draft-length", "3",
                "--deterministic",
            ] + options)
        try TrainCommand.run(options, grid, registry: Qwen3Eagle3Tests.registry)
    }

    @Test func itIsTrainedResumedAndEvaluatedByTheCommands() throws {
        try train(to: "whole")
        let whole = scratch.file("whole")
        // The first two steps of the run, continued elsewhere.
        try makeDirectory(scratch.file("resumed"))
        try FileManager.default.copyItem(
            atPath: "\(whole)/step_2", toPath: "\(scratch.file("resumed"))/step_2")
        try train(to: "resumed", ["--resume"])
        let files = try ["whole", "resumed"].map { try readFile("\(scratch.file($0))/latest/model.safetensors") }
        #expect(files[0] == files[1], "a resumed run is the same bit by bit")
        let start = try readFile("\(whole)/step_2/model.safetensors")
        #expect(files[0] != start, "and something was learnt")
        let saved = try SafetensorsFile("\(whole)/latest/model.safetensors")
        #expect(saved.tensors["midlayer.self_attn.q_norm.weight"]?.shape == [8])

        let options = try EvaluateCommand.Options.parse(
            target + data + [
                "--draft-model-path", "\(whole)/latest", "--eval-data-path", scratch.file("eval.jsonl"),
                "--max-new-tokens", "12", "--draft-length", "3", "--ttt-length", "2",
            ])
        let report = try Evaluation(options, grid, registry: Qwen3Eagle3Tests.registry).run()
        #expect(report.heldOut.positions.count == 2 && report.heldOut.learnt > 0)
        #expect(report.decoding.statistics.verifications > 0 && report.decoding.differing.isEmpty)
    }

    @Test func itIsPlannedByTheCommand() throws {
        let options = try PlanCommand.Options.parse(
            target + [
                "--draft-architecture", "Eagle3Qwen3ForCausalLM", "--draft-vocab-size", "96", "--max-length", "64",
                "--target-cache", "features", "--target-cache-size", "1",
            ])
        let plan = try TrainingPlan(options, Compute(), registry: Qwen3Eagle3Tests.registry)
        #expect(plan.memory.bytes > 1_000_000 && plan.time.seconds > 0)
        #expect(plan.cache?.bytesPerToken == 4 * 32 * 2, "three layers of the target and the last hidden state")
    }
}
