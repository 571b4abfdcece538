import Shared
import TestSupport
import Testing

@testable import Trainer

/// What counts in training where the command line leaves options out.
struct TrainingPresetTests {
    private static let required = ["--target-model-path", "t", "--train-data-path", "d", "--output-dir", "o"]

    /// The options as they count for a number of samples.
    private func options(
        _ arguments: [String], samples: Int, groups: Int = 1, architecture: String? = nil
    ) throws -> TrainOptions {
        let options = try TrainOptions.parse(Self.required + arguments)
        let target = try ModelConfiguration(directory: Fixtures.folder.appending(path: "targets/llama").path)
        let draft = try DraftRegistry.standard.generated(architecture, target: target, draftVocabSize: 96)
        try options.optimizer.preset.fill(
            options, options.draft, samples: samples, groups: groups, draft,
            steps: { options.settings.steps(samples: samples) })
        return options
    }

    private func eagle3(_ options: TrainOptions) throws -> Eagle3Options {
        try #require(options.draft.own.compactMap { $0 as? Eagle3Options }.first)
    }

    @Test(arguments: [
        (["--preset", "small"], 1_000_000, 4), ([], 1200, 2), ([], 5000, 2), ([], 5001, 4), ([], 20_000, 4),
    ])
    func fewConversationsAreLearntAsMeasured(arguments: [String], samples: Int, batch: Int) throws {
        let found = try options(arguments, samples: samples)
        let settings = found.settings
        #expect(settings.muon?.momentum == 0.95 && settings.muon?.weightDecay == 0)
        #expect(settings.learningRate == 0.001 && settings.warmupRatio == 0.03 && settings.globalBatchSize == batch)
        let training = try eagle3(found).training
        #expect(training.tttLength == 3 && training.lossDecay == 0.5)
        #expect(settings.schedule == .linear && settings.featureLossWeight == 10 && found.draft.freezeLmHead)
    }

    /// By the root of the number of steps, whatever that comes from.
    @Test(arguments: [
        (["--total-steps", "600"], 1200, 0.0022), (["--num-epochs", "1"], 1200, 0.0022), ([], 1200, 0.00071),
        (["--num-epochs", "1", "--draft-global-batch-size", "8"], 1200, 0.0045),
        (["--num-epochs", "1"], 5387, 0.0015), (["--num-epochs", "6"], 14_536, 0.00037),
        (["--num-epochs", "1"], 12, 0.006),
    ])
    func theRateFallsWithTheNumberOfSteps(arguments: [String], samples: Int, rate: Float) throws {
        #expect(try options(arguments, samples: samples).optimizer.muonLearningRate == rate)
    }

    /// A head that isn't the target's isn't frozen, and the target's hidden state is no use to it.
    @Test(arguments: [
        (["--ckpt-dir", "d"], nil), (["--lm-head-init", "random"], nil), (["--feature-loss-weight", "0"], nil),
        ([], "DFlashDraftModel"),
    ])
    func onlyTheTargetsHeadIsKept(arguments: [String], architecture: String?) throws {
        let found = try options(arguments, samples: 12, architecture: architecture)
        #expect(!found.draft.freezeLmHead && found.settings.muon != nil)
        #expect(found.settings.featureLossWeight == (architecture == nil ? 0 : 10))
    }

    @Test(
        arguments: [
            ("LlamaForCausalLMEagle3", [], false), ("LlamaForCausalLMEagle3", ["--freeze-lm-head"], true),
            ("DFlashDraftModel", [], true),
        ] as [(String, [String], Bool)])
    func anotherHeadCantLearnTheTargetsHiddenState(architecture: String, arguments: [String], isFine: Bool) throws {
        let options = try TrainOptions.parse(Self.required + arguments + ["--feature-loss-weight", "2"])
        let target = try ModelConfiguration(directory: Fixtures.folder.appending(path: "targets/llama").path)
        let draft = try DraftRegistry.standard.generated(architecture, target: target, draftVocabSize: 96)
        if isFine { return try options.draft.checkFeatures(draft) }
        let error = #expect(throws: OptionsError.self) { try options.draft.checkFeatures(draft) }
        #expect(error?.description.contains("--freeze-lm-head") == true)
    }

    @Test(arguments: [(["--preset", "specforge"], 1200), ([], 20_001)])
    func othersAsSpecForgeDoes(arguments: [String], samples: Int) throws {
        let found = try options(arguments, samples: samples)
        let settings = found.settings
        #expect(settings.muon == nil && settings.learningRate == 1e-4 && settings.warmupRatio == 0.015)
        #expect(settings.globalBatchSize == 8 && settings.schedule == .cosine)
        #expect(settings.featureLossWeight == 0 && !found.draft.freezeLmHead)
        let training = try eagle3(found).training
        #expect(training.tttLength == 7 && training.lossDecay == 0.8)
    }

    @Test func whatTheCommandLineGivesCounts() throws {
        let found = try options(["--ttt-length", "7", "--draft-global-batch-size", "8"], samples: 12)
        let training = try eagle3(found).training
        #expect(found.settings.globalBatchSize == 8 && training.tttLength == 7 && training.lossDecay == 0.5)
        #expect(found.settings.muon != nil)
    }

    /// How a rate falls goes with it, and decides on nothing else.
    @Test func aScheduleAloneKeepsTheOptimizer() throws {
        let settings = try options(["--learning-rate-schedule", "cosine"], samples: 12).settings
        #expect(settings.schedule == .cosine && settings.muon != nil && settings.learningRate == 0.001)
    }

    /// An optimizer and its rates are chosen together.
    @Test(arguments: [["--learning-rate", "1e-3"], ["--optimizer", "adamw"]])
    func whoGivesARateOrAnOptimizerDecidesOnBoth(arguments: [String]) throws {
        let settings = try options(arguments, samples: 12).settings
        #expect(settings.muon == nil && settings.globalBatchSize == 2 && settings.schedule == .cosine)
        #expect(settings.learningRate == (arguments[0] == "--learning-rate" ? 1e-3 : 1e-4))
    }

    @Test func eachGroupOfRanksHasASequence() throws {
        #expect(try options([], samples: 12, groups: 5).settings.globalBatchSize == 5)
        #expect(try options([], samples: 6000, groups: 3).settings.globalBatchSize == 4)
    }

    /// Only the options of the draft's own architecture are filled.
    @Test func anotherArchitecturesOptionsStayAsTheyAre() throws {
        let found = try options([], samples: 12, architecture: "DFlashDraftModel")
        #expect(found.settings.muon != nil)
        #expect(try eagle3(found).training.tttLength == 7)
    }

    /// Help has the values in it.
    @Test func helpSaysWhatTheyAre() {
        #expect(TrainOptions.help.contains("--muon-learning-rate 0.0022"))
        #expect(TrainOptions.help.contains("small for up to 20000 conversations"))
        #expect(TrainingPreset.help.contains("--draft-global-batch-size 2, or 4 beyond 5000 conversations"))
    }
}
