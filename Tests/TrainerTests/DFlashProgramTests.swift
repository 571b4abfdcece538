import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// DFlash and DSpark drafts in the programs' own hands, as a user has them.
struct DFlashProgramTests {
    private let scratch: ScratchDirectory
    private let target: [String]
    private let data: [String]

    /// A tiny target, and stores of a few conversations.
    init() throws {
        let stores = try TinyStores()
        (scratch, target, data) = (stores.scratch, stores.target, stores.data)
    }

    @discardableResult
    private func run(_ program: String, _ arguments: [String]) throws -> String {
        let end = try ProgramRun(program, arguments).finish()
        try #require(end.code == 0, "\(program) \(arguments[0]): \(end.errors)")
        return end.output
    }

    private func train(
        to directory: String, _ architecture: String = "DFlashDraftModel", vocabulary: Int?, _ options: [String] = []
    ) throws {
        try run(
            "Trainer",
            ["train", "--train-data-path", scratch.file("train.jsonl"), "--output-dir", scratch.file(directory)]
                + target + data
                + (vocabulary.map {
                    ["--draft-architecture", architecture, "--draft-vocab-size", "\($0)"]
                } ?? []) + [
                    "--num-anchors", "6", "--total-steps", "6", "--draft-global-batch-size", "4", "--save-interval",
                    "2", "--learning-rate", "3e-3", "--deterministic",
                ] + options)
    }

    private func weights(_ directory: String) throws -> [UInt8] {
        try readFile("\(scratch.file(directory))/latest/model.safetensors")
    }

    /// With its own head, and with the target's, which no checkpoint has.
    @Test(arguments: [("DFlashDraftModel", 96), ("DFlashDraftModel", 256), ("Qwen3DSparkModel", 96)])
    func itIsTrainedResumedAndEvaluated(architecture: String, vocabulary: Int) throws {
        let evaluation = [
            "--eval-data-path", scratch.file("eval.jsonl"), "--eval-max-samples", "2", "--eval-max-new-tokens", "8",
            "--draft-length", "7",
        ]
        try train(to: "whole", architecture, vocabulary: vocabulary, evaluation)
        // The first two steps of the run, continued elsewhere.
        try makeDirectory(scratch.file("resumed"))
        try FileManager.default.copyItem(
            atPath: "\(scratch.file("whole"))/step_2", toPath: "\(scratch.file("resumed"))/step_2")
        try train(to: "resumed", architecture, vocabulary: vocabulary, evaluation + ["--resume"])
        #expect(try weights("whole") == weights("resumed"), "a resumed run is the same bit by bit")
        let saved = try SafetensorsFile("\(scratch.file("whole"))/latest/model.safetensors")
        #expect((saved.tensors["lm_head.weight"] != nil) == (vocabulary < 256))
        #expect((saved.tensors["markov_head.markov_w1.weight"] != nil) == (architecture == "Qwen3DSparkModel"))

        let report = try run(
            "Trainer",
            [
                "evaluate", "--draft-model-path", "\(scratch.file("whole"))/latest", "--eval-data-path",
                scratch.file("eval.jsonl"), "--max-new-tokens", "12", "--draft-length", "7", "--json", "--html",
                scratch.file("evaluation.html"),
            ] + target + data)
        expectPage(
            try String(contentsOfFile: scratch.file("evaluation.html"), encoding: .utf8),
            headings: ["Accepted by position", "Right along the given texts", "By tokens before it"])
        let root = try JSONFile(contents: Array(report.utf8), path: "report").root
        #expect(try root.bool("identical_output", default: false), "decoding is lossless")
        #expect(try root.required("accepted_at").elements.count == 7)
        let sampled = try run(
            "Trainer",
            [
                "evaluate", "--draft-model-path", "\(scratch.file("whole"))/latest", "--eval-data-path",
                scratch.file("eval.jsonl"), "--max-new-tokens", "12", "--draft-length", "7", "--temperature", "0.8",
            ] + target + data)
        #expect(sampled.contains("same sampled output         yes, on every prompt"))
        let tooLong = try ProgramRun(
            "Trainer",
            [
                "evaluate", "--draft-model-path", "\(scratch.file("whole"))/latest", "--eval-data-path",
                scratch.file("eval.jsonl"), "--draft-length", "8",
            ] + target + data
        ).finish()
        #expect(tooLong.code == 64 && tooLong.errors.contains("--draft-length 8 is more than the 7"))

        // Begun with that draft and without learning, it stays that draft, and goes on learning with it.
        let start = ["--ckpt-dir", "\(scratch.file("whole"))/latest"]
        try train(to: "begun", vocabulary: nil, start + ["--learning-rate", "0"])
        #expect(try weights("begun") == weights("whole"))
        try train(to: "continued", vocabulary: nil, start)
        #expect(try weights("continued") != weights("whole"))

        let page = scratch.file("page.html")
        let summary = try run("Trainer", ["report", scratch.file("whole"), "--html", page])
        #expect(!summary.isEmpty && fileExists(page))
    }

    /// An evaluation's figures stand beside its checkpoint, and are what is measured later.
    @Test func whatACheckpointAcceptedIsCheckedLater() throws {
        try train(
            to: "run", vocabulary: 96,
            [
                "--eval-data-path", scratch.file("eval.jsonl"), "--eval-max-samples", "2", "--eval-max-new-tokens", "8",
                "--draft-length", "3",
            ])
        let draft = "\(scratch.file("run"))/latest"
        let path = "\(draft)/\(AcceptanceReference.fileName)"
        #expect(!fileExists("\(scratch.file("run"))/step_2/\(AcceptanceReference.fileName)"), "it wasn't evaluated")
        func evaluate(_ options: [String], on data: String = "eval.jsonl") throws -> (code: Int32, errors: String) {
            let end = try ProgramRun(
                "Trainer",
                ["evaluate", "--draft-model-path", draft, "--eval-data-path", scratch.file(data)] + target + self.data
                    + options
            ).finish()
            return (end.code, end.errors)
        }
        let trained = try AcceptanceReference(draft: draft)
        #expect(trained.prompts == 2 && trained.samples == 3 && trained.newTokens == 8 && trained.draftLength == 3)
        var end = try evaluate(["--check"])
        #expect(end.code == 0 && end.errors.contains("acceptance is what"), "\(end.errors)")
        end = try evaluate(["--check", "--draft-length", "4"])
        #expect(end.code == 64 && end.errors.contains("--draft-length has no effect"), "\(end.errors)")
        end = try evaluate(["--check"], on: "train.jsonl")
        #expect(end.code == 1 && end.errors.contains("prompts' digest"), "\(end.errors)")

        // Written by the command, of other prompts.
        end = try evaluate(["--save-reference", "--max-samples", "1", "--max-new-tokens", "12", "--draft-length", "7"])
        #expect(end.code == 0, "\(end.errors)")
        let saved = try AcceptanceReference(draft: draft)
        #expect(saved.samples == 1 && saved.prompts == nil && saved.weights == trained.weights)
        end = try evaluate(["--check"])
        #expect(end.code == 0, "\(end.errors)")
        let text = saved.json.setting("accepted_at", .numbers([Double](repeating: 0.9, count: 7)))
        for (other, cause) in [
            (text, "the weights are the same"), (text.setting("weights", .string("0")), "other ones"),
        ] {
            try writeFile(path, other.pretty.utf8)
            end = try evaluate(["--check"])
            #expect(
                end.code == 1 && end.errors.contains("should be 6.3000") && end.errors.contains(cause), "\(end.errors)")
        }
    }

    @Test func itLearnsTheSameFromCapturedFeatures() throws {
        try train(to: "online", vocabulary: 96)
        let cache = ["--target-cache", scratch.file("features"), "--target-cache-dtype", "float32"]
        try run(
            "Trainer",
            ["capture", "--train-data-path", scratch.file("train.jsonl"), "--draft-architecture", "DFlashDraftModel"]
                + target + data + cache)
        try train(to: "offline", vocabulary: 96, cache)
        let both = try ["online", "offline"].map { name in
            try SafetensorsFile("\(scratch.file(name))/latest/model.safetensors")
        }
        for (name, _) in both[0].tensors where name.hasSuffix("weight") {
            let (online, offline) = (try both[0].golden(name).values, try both[1].golden(name).values)
            expectClose(offline, online, tolerance: 1e-3, name)
        }
    }

    @Test func itIsPlannedAndMeasuredByTheCommands() throws {
        let own = ["--draft-architecture", "DFlashDraftModel", "--draft-vocab-size", "96"]
        let plan = try run(
            "Trainer",
            ["plan", "--max-length", "64", "--target-cache", "features", "--target-cache-size", "1", "--json"]
                + target + own)
        #expect(try JSONFile(contents: Array(plan.utf8), path: "plan").root["memory"] != nil)
        let benchmark = try run(
            "Trainer",
            ["benchmark", "--train-data-path", scratch.file("train.jsonl"), "--steps", "1", "--json"] + target + data
                + own)
        let root = try JSONFile(contents: Array(benchmark.utf8), path: "benchmark").root
        #expect(try root.required("needed_operations").asDouble() > 0)
    }

    @Test func optionsThatHaveNoEffectAreRefused() throws {
        for (options, named) in [
            (["--ttt-length", "3"], "--ttt-length has no effect"), (["--lk-loss-type", "alpha"], "--lk-loss-type"),
            (["--lm-head-init", "random"], "--lm-head-init"),
        ] {
            let end = try ProgramRun(
                "Trainer",
                [
                    "train", "--train-data-path", scratch.file("train.jsonl"), "--output-dir", scratch.file("never"),
                    "--draft-architecture", "DFlashDraftModel", "--draft-vocab-size", "96",
                ] + options + target + data
            ).finish()
            #expect(end.code != 0 && end.errors.contains(named), "\(end.errors)")
        }
    }
}
