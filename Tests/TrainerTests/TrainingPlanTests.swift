import Shared
import TestSupport
import Testing

@testable import Trainer

/// What is planned is what is then taken.
struct TrainingPlanTests {
    /// A target's draft of 96 tokens that learns in five steps.
    private func draft(_ target: TargetGolden, _ options: [String] = [], positions: Int) throws -> (
        model: any DraftModel, targetLayers: [Int]
    ) {
        let options = try DraftOptions.parse(["--ttt-length", "5", "--draft-vocab-size", "96"] + options)
        let configuration = try DraftRegistry.standard.configuration(
            options, target: ModelConfiguration(directory: target.directory))
        return (
            try configuration.makeDraft(options.own, options.settings(positions: positions), .test),
            configuration.targetLayers
        )
    }

    @Test(
        arguments: ["llama", "qwen3", "gemma3-text", "qwen3-moe", "gpt-oss", "llama4-text"],
        [(1, 1, 90, 1.0), (1, 2, 60, 0.4), (2, 1, 40, 1.0)])
    func activationsAreThoseOfAStep(
        family: String, run: (tpSize: Int, sequences: Int, length: Int, share: Double)
    ) throws {
        let golden = try TargetGolden(family)
        let sizes = StepSizes(
            sequences: run.sequences, length: run.length, supervised: run.share, tpSize: run.tpSize)
        let pairs = try ThreadCommunicator.run(run.tpSize) { communicator in
            let target = try golden.load(communicator, positions: run.length)
            let (draft, targetLayers) = try draft(golden, positions: run.length)
            draft.initialize(seed: 1)
            let model = OnlineDraft(
                target: target, draft: draft, teacher: CompactTeacher(target, draftToTarget: (0..<96).map { $0 }),
                targetLayers: targetLayers)
            let workspace = Workspace()
            _ = model.run(
                [[TrainingSequence]](repeating: sizes.sequences, count: run.tpSize),
                weights: LossWeights(sequences: sizes.sequences.map { _ in 1 }), in: workspace)
            let planned = ActivationPlan(
                target, targetLayers: targetLayers.count, draft, sizes, .test
            ).elements
            return Double(planned) / Double(workspace.highWater)
        }
        for ratio in pairs { #expect(0.87...1.15 ~= ratio, "planned \(ratio) of what was taken") }
    }

    @Test func aMicroBatchHasNoMoreThanARanksShareOfAStep() throws {
        let golden = try TargetGolden("llama")
        func memory(_ options: String...) throws -> Int {
            let words = ["--target-model-path", golden.directory, "--max-length", "64"] + options
            let parts = try TrainingPlan(PlanCommand.Options.parse(words), .test).memory.parts
            return parts.first { $0.name == "activations" }?.bytes ?? 0
        }
        let four = try memory("--batch-size", "4", "--draft-global-batch-size", "4")
        #expect(try memory("--batch-size", "1048576", "--draft-global-batch-size", "4") == four)
        #expect(try memory("--batch-size", "2", "--draft-global-batch-size", "4") < four)
        #expect(throws: OptionsError.self) {
            try memory("--batch-size", "1048576", "--draft-global-batch-size", "1048576")
        }
    }

    /// Evaluations that decode prompts keep keys, values and features of whole sequences.
    @Test func decodingHeldOutPromptsIsCounted() throws {
        let golden = try TargetGolden("llama")
        func decoding(_ options: String...) throws -> Int? {
            let words = ["--target-model-path", golden.directory, "--max-length", "512"] + options
            let plan = try TrainingPlan(PlanCommand.Options.parse(words), .test)
            return plan.memory.parts.first { $0.name == "decoding held-out prompts" }?.bytes
        }
        #expect(try decoding() == nil)
        #expect(throws: OptionsError.self, "no prompt is decoded") { try decoding("--draft-length", "3") }
        let target = try golden.load(AbsentRanks(), positions: 600)
        let (draft, targetLayers) = try draft(golden, positions: 600)
        let limits = HeldOutDecoding.Limits(prompts: 1, newTokens: 40, draftLength: 3)
        // As many rows as the longest prompt, the answer and what is drafted after it take, unless the run has less room.
        let rows = min(512 + 40 + 3 + 2, 512 + draft.positionsAfterEnd)
        let cache = target.makeCache(capacity: rows)
        let widths = (0..<target.layers.count).map { cache.read(layer: $0, adding: rows).keys.columns }
        let keysAndValues = 4 * rows * 2 * widths.reduce(0, +)
        let features = 4 * rows * targetLayers.count * target.configuration.hiddenSize
        let found = limits.byteCount(
            longest: 512, positions: 512 + draft.positionsAfterEnd, target, targetLayers: targetLayers.count, draft)
        #expect(found == keysAndValues + features + draft.decoderByteCount(capacity: rows))
        let planned = try #require(
            try decoding("--eval-max-samples", "4", "--eval-max-new-tokens", "40", "--draft-length", "3"))
        #expect(planned > keysAndValues)
    }

    /// Work that any number of rows takes counts once; noise makes no time shorter than the longer part's.
    @Test func theWholeLiesOnTheLineThroughTwoParts() {
        typealias Sampled = StepSampler.Sampled
        func seconds(_ short: Double, _ long: Double) -> Double {
            Sampled.line(
                from: Sampled(operations: 10, seconds: short), to: Sampled(operations: 20, seconds: long), at: 100)
        }
        #expect(seconds(4 + 1, 4 + 2) == 4 + 10)
        #expect(seconds(1, 2) == 10)
        // As fast with twice the arithmetic, or slower than in proportion.
        #expect(seconds(2, 2) == 10 && seconds(3, 2) == 10 && seconds(0.1, 2) == 10)
    }

    /// A part that is laid out takes what a loaded one takes, and no number of it is read.
    @Test(arguments: TargetGolden.families, [1, 3])
    func aLaidOutTargetIsAsLargeAsALoadedOne(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(family)
        let loaded = try ThreadCommunicator.run(tpSize) { try golden.load($0).memory.byteCount }
        let laid = try (0..<tpSize).map { rank in
            try TargetModelRegistry.layOut(
                golden.directory, communicator: AbsentRanks(rank: rank, size: tpSize), positions: 8
            ).memory.byteCount
        }
        #expect(laid == loaded)
    }

    /// Names and shapes of weights follow from the configuration: without them the same model is laid out.
    ///
    /// That they are packed doesn't follow, so that they count as unpacked.
    @Test(arguments: TargetGolden.families, [1, 3])
    func aConfigurationAloneIsLaidOutAsItsWeightsAre(family: String, tpSize: Int) throws {
        let golden = try TargetGolden(family)
        try withTemporaryDirectory { directory in
            try writeFile("\(directory)/config.json", readFile("\(golden.directory)/config.json"))
            for rank in 0..<tpSize {
                let sizes = try [golden.directory, directory].map { path in
                    try TargetModelRegistry.layOut(
                        path, communicator: AbsentRanks(rank: rank, size: tpSize), positions: 8
                    ).memory.byteCount
                }
                if family == "gpt-oss-mxfp4" {
                    #expect(sizes[0] < sizes[1])
                } else {
                    #expect(sizes[0] == sizes[1])
                }
            }
            #expect(throws: WeightsError.self) {
                try TargetModelRegistry.load(directory, communicator: AbsentRanks(), positions: 8)
            }
        }
    }

    /// Each kind of layer is run as it is laid out, in memory that nothing may be written to.
    @Test(
        arguments: TargetGolden.familiesAndPackedOnes.map { ($0, MatrixPrecision.bfloat16) }
            + [("qwen3-moe", .float32), ("gpt-oss-mxfp4", .float32)])
    func everyFamilysTimeIsSampled(family: String, precision: MatrixPrecision) throws {
        let golden = try TargetGolden(family)
        let compute = Compute(precision: precision, threads: 2)
        let target = try TargetModelRegistry.layOut(
            golden.directory, communicator: AbsentRanks(), positions: 16, compute)
        let job = TimePlan.Job(
            target: target, draft: try draft(TargetGolden("llama"), positions: 16).model, targetLayers: 3,
            draftVocabSize: 96, orthogonalizes: true,
            sizes: StepSizes(sequences: 1, length: 16, supervised: 1, tpSize: 1), compute: compute, ranks: 1,
            microBatches: 1)
        #expect(try StepSampler(job, operations: 1e5).targetSeconds() > 0)
    }

    @Test func arithmeticIsThatOfTheProducts() throws {
        let golden = try TargetGolden("llama")
        let target = try golden.load(AbsentRanks())
        let sizes = StepSizes(sequences: 1, length: 10, supervised: 1, tpSize: 1)
        // hidden 32, intermediate 96, 4 heads and 2 key/value heads of 8; row i sees i + 1 keys.
        let weights = (32 + 2 * 16) * 32 + 32 * 32 + 3 * 32 * 96
        #expect(sizes.operations(target.layers[0]) == Double(2 * 10 * weights + 4 * 55 * 32))
    }

    /// Of experts those that a row goes to count, beside the router and the shared one, which all rows go to.
    @Test func arithmeticOfExpertsIsThatOfTheChosenOnes() throws {
        func operations(_ family: String, _ communicator: any Communicator) throws -> Double {
            let target = try TargetModelRegistry.layOut(
                TargetGolden(family).directory, communicator: communicator, positions: 10, expertParallel: true)
            let sizes = StepSizes(sequences: 1, length: 10, supervised: 1, tpSize: communicator.size)
            return sizes.operations(target.layers[0])
        }
        // hidden 32, 4 heads and 2 key/value heads of 16. Two of 8 experts of 48; one of 4 of 64, and a shared one.
        let attention = (64 + 2 * 32) * 32 + 32 * 64
        let qwen = attention + 8 * 32 + 2 * 3 * 32 * 48
        #expect(try operations("qwen3-moe", AbsentRanks()) == Double(2 * 10 * qwen + 4 * 55 * 64))
        let llama4 = attention + 4 * 32 + 2 * 3 * 32 * 64
        #expect(try operations("llama4-text", AbsentRanks()) == Double(2 * 10 * llama4 + 4 * 55 * 64))
        // A rank of two has half of the heads and of the experts, and the rows of both.
        let part = attention / 2 + 8 * 32 + 3 * 32 * 48
        #expect(
            try operations("qwen3-moe", AbsentRanks(rank: 1, size: 2)) == Double(2 * 20 * part + 2 * 4 * 55 * 32))
    }

    /// A frozen head has no gradient of its weight: two products of it, and not three.
    @Test func aFrozenHeadTakesTwoProducts() throws {
        let golden = try TargetGolden("llama")
        let target = try golden.load(AbsentRanks())
        let sizes = StepSizes(sequences: 1, length: 10, supervised: 1, tpSize: 1)
        let operations = try [[], ["--freeze-lm-head"]].map { options in
            sizes.operations(try draft(golden, options, positions: 10).model, target, .test)
        }
        // Labels of five steps, each of whose rows ends one token before that of the step before.
        #expect(operations[0] - operations[1] == Double(2 * (8 + 7 + 6 + 5 + 4) * 32 * 96))
    }
}

/// The command, as a user runs it.
struct PlanCommandTests {
    private let target = Fixtures.folder.appending(path: "targets/llama").path

    @Test func itSaysMemoryAndTime() throws {
        let run = try ProgramRun(
            "Trainer",
            ["plan", "--target-model-path", target, "--ranks", "4", "--tp-size", "2", "--max-length", "64", "--json"]
        ).finish()
        #expect(run.code == 0, "\(run.errors)")
        let plan = try JSONFile(contents: Array(run.output.utf8), path: "plan").root
        #expect(try plan.int("memory_bytes") > 1_000_000)
        let parts = try plan.required("memory").members.map { try $0.value.asInt() }
        #expect(try parts.reduce(0, +) == plan.int("memory_bytes"))
        let times = try plan.required("seconds").members.map { try $0.value.asDouble() }
        #expect(times.count == 4 && times.allSatisfy { $0 > 0 })
    }

    /// Binding the first thread to a core takes none of the others from what is planned with.
    @Test func oneRankIsPlannedWithAllCores() throws {
        let options = ["plan", "--target-model-path", target, "--ranks", "1", "--max-length", "64"]
        let run = try ProgramRun("Trainer", options).finish()
        let cores = CPUTopology.allowed.cores
        #expect(
            run.output.contains("1 rank, \(cores) thread\(cores == 1 ? "" : "s") each"), "\(run.output)\(run.errors)")
    }

    /// A model of which nothing but config.json is there, for hosts that aren't either.
    @Test func aConfigurationAloneIsPlannedForOtherHosts() throws {
        try withTemporaryDirectory { directory in
            try writeFile("\(directory)/config.json", readFile("\(target)/config.json"))
            let options = ["plan", "--target-model-path", directory, "--max-length", "64", "--tp-size", "2"]
            let run = try ProgramRun(
                "Trainer", options + ["--hosts", "3x2x4:0.001", "1x2x8", "--draft-global-batch-size", "16", "--json"]
            ).finish()
            #expect(run.code == 0, "\(run.errors)")
            let plan = try JSONFile(contents: Array(run.output.utf8), path: "plan").root
            #expect(try plan.string("weights") == "absent")
            let hosts = try plan.required("hosts").elements
            let times = try hosts.map { try $0.double("step_seconds") }
            let counts = try hosts.map { try $0.int("count") }
            #expect(counts == [3, 1] && times[0] > times[1])
            #expect(try plan.double("step_seconds") == times[0], "the slowest host's time is that of all")
            #expect(try hosts[0].int("needed_bytes") == 2 * plan.int("memory_bytes"))
            #expect(try hosts[0].bool("is_enough") == false)
            let text = try ProgramRun("Trainer", options + ["--hosts", "3x2x4:0.001"]).finish().output
            #expect(text.contains("planned from config.json alone") && text.contains("TOO LITTLE"))
        }
    }

    /// What measure prints, plan reads.
    @Test func ratesThatAreMeasuredAreThoseThatAPlanReads() throws {
        try withTemporaryDirectory { directory in
            let measured = try ProgramRun(
                "Trainer", ["measure", "--target-model-path", target, "--lengths", "8", "--repeats", "1", "--json"]
            ).finish()
            #expect(measured.code == 0, "\(measured.errors)")
            let file = "\(directory)/rates.json"
            try writeFile(file, measured.output.utf8)
            let rates = try MachineRates(file)
            #expect(rates.ranks == 1 && rates.product(.large, .float32) ?? 0 > 1e8 && rates.memory > 1e8)
            let run = try ProgramRun(
                "Trainer",
                ["plan", "--target-model-path", target, "--max-length", "64", "--hosts", "2x1x4:64:\(file)"]
            ).finish()
            #expect(run.code == 0 && run.output.contains("2 x 1 rank of 4 threads"), "\(run.errors)")
        }
    }

    @Test func laterStepsAreWhatTheFewTookMore() {
        #expect(Eagle3DraftModel.extrapolated(first: 2, together: 5, of: 3, to: 7) == 11)
        #expect(Eagle3DraftModel.extrapolated(first: 2, together: 2, of: 1, to: 1) == 2)
        #expect(Eagle3DraftModel.extrapolated(first: 2, together: 1, of: 3, to: 7) == 2, "on a busy machine")
    }

    /// Three layers of 32 features and the last one's, at two bytes or four each.
    @Test(arguments: [("bfloat16", 256), ("float32", 512)])
    func itSaysWhatTheCacheOfFeaturesTakesAndSaves(type: String, bytes: Int) throws {
        let run = try ProgramRun(
            "Trainer",
            [
                "plan", "--target-model-path", target, "--ranks", "2", "--tp-size", "2", "--max-length", "64",
                "--target-cache", "features", "--target-cache-dtype", type, "--target-cache-size", "0.5", "--json",
            ]
        ).finish()
        #expect(run.code == 0, "\(run.errors)")
        #expect(!fileExists("features"), "nothing is made")
        let plan = try JSONFile(contents: Array(run.output.utf8), path: "plan").root
        #expect(try plan.int("cache_bytes_per_token") == bytes)
        #expect(try plan.int("cache_capacity_tokens") == 500_000_000 / bytes)
        let (parts, cached) = (try plan.required("seconds"), try plan.required("cached_seconds"))
        #expect(cached.members.map(\.0) == ["draft", "optimizer", "communication"])
        let seconds = try (
            all: parts.required("communication").asDouble(), cached: cached.required("communication").asDouble()
        )
        #expect(0 < seconds.cached && seconds.cached < seconds.all)
        let sum = try cached.members.reduce(0) { try $0 + $1.1.asDouble() }
        let all = try plan.required("cached_step_seconds").asDouble()
        #expect(abs(all - sum) < 1e-9 * sum)
    }

    /// Ranks that don't divide, and more of them than the target has heads: options that don't fit, exit code 64.
    @Test(arguments: [["measure", "--lengths", "8", "--tp-size", "3"], ["plan", "--tp-size", "9"]])
    func ranksThatDoNotFitAreErrorsOfOptions(arguments: [String]) throws {
        let run = try ProgramRun("Trainer", arguments + ["--target-model-path", target]).finish()
        #expect(run.code == 64 && run.errors.contains("--tp-size"), "\(run.code): \(run.errors)")
    }

    @Test(arguments: [
        (["--target-cache-size", "0"], "--target-cache-size is 0, should be 0.001 to"),
        (["--ranks", "3", "--tp-size", "2"], "--ranks 3 must be a multiple of --tp-size 2"),
        (["--supervised-share", "2"], "--supervised-share is 2, should be 0.0 to 1.0"),
        (["--hosts", "1x2x4", "--ranks", "2"], "leave out --ranks"),
        (["--hosts", "1x3x4", "--tp-size", "2"], "--hosts have 3 ranks, should be a multiple of --tp-size 2"),
        (["--hosts", "1x3"], "--hosts: '1x3' has 2 of three numbers"),
        (["--ckpt-dir", "nowhere"], "nowhere/config.json"),
        (["--tp-size", "9"], "--tp-size 9 is more than the target's 4 attention heads"),
    ])
    func whatCanNotBeIsRefused(arguments: [String], message: String) throws {
        let run = try ProgramRun("Trainer", ["plan", "--target-model-path", target] + arguments).finish()
        #expect(run.code != 0 && run.errors.contains(message), "\(run.errors)")
    }
}
