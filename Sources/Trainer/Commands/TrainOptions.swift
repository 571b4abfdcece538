import Shared

extension InferenceEngine: OptionValue {}
extension MatrixPrecision: OptionValue {}
extension GEMMLibrary: OptionValue {}
extension TrainingSettings.LossNormalization: OptionValue {}
extension LearningRateSchedule.Decay: OptionValue {}
extension BadSamplePolicy: OptionValue {}
extension WireType: OptionValue {}

/// Where the samples are.
struct DataOptions: Options {
    @Option("Datasets to train on, whose store Preprocess built.", value: "FILE...") var trainDataPath: [String]
    @Option("Datasets to evaluate on, whose store Preprocess built.", value: "FILE...") var evalDataPath: [String] = []
    @Option("What a sample that can't be read does: stop the run, or be left out, logged and counted.")
    var onBadSample: BadSamplePolicy = .stop
    var store = StoreOptions()
}

/// Which stores are wanted.
struct StoreOptions: Options {
    @Option("Directory of the stores.", value: "DIR") var cacheDir: String = "./cache"
    @Option("The chat template that the store must have been built with; any if left out.", value: "NAME|FILE")
    var chatTemplate: String?
    @Option("The length that the store must have been built with, in tokens; any if left out.", in: 1...)
    var maxLength: Int?

    /// Opens the store of some datasets.
    ///
    /// - Parameter limit: The most samples to use; nil for all.
    func open(
        _ dataPaths: [String], _ target: TargetOptions, holding contents: StoreLocation.Contents = .samples,
        limit: Int? = nil
    ) throws -> StoreSamples {
        try StoreSamples(
            StoreSamples.Request(
                dataPaths: dataPaths, cacheDir: cacheDir, contents: contents, chatTemplate: chatTemplate,
                maxLength: maxLength, targetModelPath: target.targetModelPath, limit: limit))
    }
}

/// The target and the ranks that share it.
struct TargetOptions: Options {
    @Option("The target: a directory with config.json and safetensors, or a GGUF file.", value: "DIR|GGUF")
    var targetModelPath: String
    @Option("Ranks that share one copy of the target; must divide the number of ranks.", in: 1...)
    var tpSize: Int = 1
    @Flag("Give ranks whole experts, instead of a part of each: for targets that have experts.") var expertParallel
    @Flag(
        "Hold the target's packed weights unpacked: more memory; long batches are some percent faster, and so is decoding "
            + "on CPUs with fast memory and without AVX512-BF16.")
    var unpackTarget
    @Option("Threads of each rank; as many as it has CPUs of its own if left out.", in: 1...1024)
    var numThreads: Int?
    @Option(
        "The longest that ranks wait for each other, in minutes; then they end, and log what they waited for.",
        in: 0.01...100_000)
    var distTimeout: Float = 20
    @Option("What matrix products round their operands to; sums, weights and all else are float32.")
    var dtype: MatrixPrecision = .float32
    @Option("Who multiplies in float32; auto: oneDNN on CPUs with AVX-512, OpenBLAS on others.")
    var gemmLibrary: GEMMLibrary = .auto
    @Flag("Log at the end how long each part took: target, draft, communication and others.") var profile
}

/// The draft and how it learns.
struct DraftOptions: Options {
    @Option("The draft's config.json; generated from the target if left out.", value: "FILE")
    var draftModelConfig: String?
    @Option(DraftOptions.architectureHelp, value: "NAME") var draftArchitecture: String?
    @Option("A draft to begin with instead of a new one, its vocabulary and configuration too.", value: "DIR")
    var ckptDir: String?
    @Option(
        "The engine that will serve the draft: what it can't serve is an error before training, and a generated "
            + "configuration is one that it reads. Without it there are warnings. \(InferenceEngine.summary).")
    var serveWith: InferenceEngine?
    @Option(
        "Tokens that the draft knows; the configuration's, or the architecture's default, as 32000, if left out.",
        in: ModelConfiguration.vocabSizes)
    var draftVocabSize: Int?
    @Option("What the draft's lm_head begins with: the target's rows, scaled, or random numbers.")
    var lmHeadInit: LMHeadInit = .target
    @Flag("Keep the target's head as the draft's, without training it.") var freezeLmHead
    @Option(
        "What 1 - cosine of the draft's last hidden state and the target's counts beside the loss in the first step; it "
            + "falls to nothing in a line. Needs a head that is the target's and isn't trained.", in: 0...1e6)
    var featureLossWeight: Float = 0
    /// The architectures' own, by which a draft learns.
    var own = DraftRegistry.standard.trainingOptions()
    @Option("What the loss is a mean over: supervised tokens, or all rows as EAGLE and SpecForge do.")
    var lossNormalization: TrainingSettings.LossNormalization = .tokens

    @Option("What is minimised: cross-entropy, or what is accepted: its negative log, or both by how much is accepted.")
    var lkLossType: LKLossType = .none
    @Option("With --lk-loss-type lambda, what cross-entropy weighs where nothing is accepted.", in: 0...1)
    var klScale: Float = 1
    @Option("With --lk-loss-type lambda, how fast cross-entropy's weight falls with what is accepted.", in: 0...1000)
    var klDecay: Float = 1

    enum LKLossType: String, CaseIterable, OptionValue { case none, alpha, lambda }

    enum LMHeadInit: String, CaseIterable, OptionValue { case target, random }

    static let architectureHelp =
        "What is generated without --draft-model-config: \(DraftRegistry.standard.names); "
        + "\(DraftRegistry.defaultArchitecture) if left out."

    func validate() throws(OptionsError) {
        for group in own { try group.validate() }
        if draftVocabSize != nil, draftModelConfig != nil {
            throw .rule("--draft-vocab-size has no effect beside --draft-model-config, whose draft_vocab_size counts")
        }
        if ckptDir != nil, draftModelConfig != nil || draftVocabSize != nil || lmHeadInit != .target || freezeLmHead {
            throw .rule(
                "--ckpt-dir brings the draft's configuration, vocabulary and head: leave out --draft-model-config, "
                    + "--draft-vocab-size, --lm-head-init and --freeze-lm-head")
        }
        if freezeLmHead, lmHeadInit == .random {
            throw .rule("--freeze-lm-head needs --lm-head-init target: a random head that isn't trained says nothing")
        }
        if lkLossType != .lambda, klScale != 1 || klDecay != 1 {
            throw .rule("--kl-scale and --kl-decay have an effect with --lk-loss-type lambda alone")
        }
    }

    /// Says which engines can't serve the draft, before it is trained.
    ///
    /// - Throws: `DraftNotServed` if it is the one that the draft is for.
    func checkEngines(
        _ target: ModelConfiguration, _ draft: any DraftConfiguration
    ) throws(DraftNotServed) {
        if let engine = serveWith { return try engine.require(target, draft) }
        for engine in InferenceEngine.allCases {
            if let warning = engine.obstacle(target, draft) ?? engine.condition(draft) { Log.warning(warning) }
        }
    }

    /// - Throws: `OptionsError` if the draft is to learn the target's hidden state and has another head.
    func checkFeatures(_ draft: any DraftConfiguration) throws(OptionsError) {
        guard featureLossWeight > 0, !draft.canAlignFeatures(freezesHead: freezeLmHead) else { return }
        throw .rule(
            "--feature-loss-weight \(featureLossWeight.shown) needs a draft of the target's hidden size whose head is the "
                + "target's and isn't trained: give --freeze-lm-head, which --ckpt-dir has no use for, or leave it out")
    }

    /// - Parameter positions: The longest sequence, in tokens.
    func settings(positions: Int) -> DraftSettings {
        DraftSettings(
            positions: positions, freezesHead: freezeLmHead, startsFromRandomHead: lmHeadInit == .random,
            objective: objective)
    }

    private var objective: DraftObjective {
        switch lkLossType {
        case .none: .crossEntropy
        case .alpha: .alpha
        case .lambda: .lambda(scale: klScale, decay: klDecay)
        }
    }
}

/// What updates weights.
enum OptimizerKind: String, CaseIterable, OptionValue { case adamw, muon }

/// Steps, batches and the optimizer.
struct OptimizerOptions: Options {
    @Option(TrainingPreset.help) var preset: TrainingPreset = .auto
    @Option("Passes over the data.", in: 1...1_000_000) var numEpochs: Int = 10
    @Option("Steps to stop after; the learning rate falls to zero by then. Of all epochs if left out.", in: 1...1 << 40)
    var totalSteps: Int?
    @Option("Sequences that a rank works on at a time.", alias: "--draft-micro-batch-size", in: 1...1 << 20)
    var batchSize: Int = 1
    @Option("Sequences of a step over all ranks.", in: 1...1 << 20) var draftGlobalBatchSize: Int = 8
    @Option("Peak learning rate.", in: 0...1000) var learningRate: Float = 1e-4
    @Option("How the learning rate falls to zero.") var learningRateSchedule: LearningRateSchedule.Decay = .cosine
    @Option("Share of the steps in which the learning rate rises.", in: 0...1) var warmupRatio: Float = 0.015
    @Option("Largest norm of the gradient; longer ones are scaled down.", in: .above(0, through: 1e12))
    var maxGradNorm: Float = 0.5
    @Option(
        "What updates weights: AdamW, or Muon the matrices between features and AdamW the head, norms and all else.")
    var optimizer: OptimizerKind = .adamw
    @Option("With --optimizer muon, how much of its momentum a matrix keeps each step.", in: 0..<1)
    var muonMomentum: Float = 0.95
    @Option("With --optimizer muon, the peak learning rate of its matrices; --learning-rate if left out.", in: 0...1000)
    var muonLearningRate: Float?
    @Option("AdamW's beta 1.", in: 0..<1) var adamBeta1: Float = 0.9
    @Option("AdamW's beta 2.", in: 0..<1) var adamBeta2: Float = 0.999
    @Option("Weight decay.", in: 0...1000) var weightDecay: Float = 0
    @Option("What gradients are rounded to on their way between ranks; they are added up in float32.")
    var reduceDtype: WireType = .float32
    @Flag("Give the same result bit by bit for any number of ranks, working on one sequence at a time.")
    var deterministic
    @Option("Seed of the samples' order and the draft's first weights.", in: 0...) var seed: Int = 0

    var muon: Muon.Settings? {
        guard optimizer == .muon else { return nil }
        return Muon.Settings(
            momentum: muonMomentum, weightDecay: weightDecay,
            rateFactor: muonLearningRate.map { learningRate > 0 ? $0 / learningRate : 0 } ?? 1)
    }

    func validate() throws(OptionsError) {
        if optimizer != .muon, muonMomentum != 0.95 || muonLearningRate != nil {
            throw .rule("--muon-momentum and --muon-learning-rate have an effect with --optimizer muon alone")
        }
        if muonLearningRate != nil, learningRate == 0 {
            throw .rule("--muon-learning-rate follows the schedule of --learning-rate, which is 0")
        }
        if deterministic, batchSize > 1 {
            throw .rule("--deterministic works on one sequence at a time: leave out --batch-size \(batchSize)")
        }
        if deterministic, reduceDtype != .float32 {
            throw .rule(
                "--deterministic gives the same result for any number of ranks, and --reduce-dtype \(reduceDtype) rounds "
                    + "what goes from one to another: leave out one of them")
        }
    }
}

/// What is written, and when.
struct OutputOptions: Options {
    @Option("Directory of checkpoints and metrics.", value: "DIR") var outputDir: String
    @Option("Steps between lines of the log and of metrics.jsonl.", in: 1...) var logSteps: Int = 10
    @Option(
        "Steps (not epochs), or time as in 30m or 2h, between checkpoints, beside those at the end of each epoch.")
    var saveInterval: SaveInterval?
    @Option("Checkpoints to keep, beside the best one; all if left out.", in: 1...) var keepLast: Int?
    @Option("How a checkpoint's model.safetensors stores weights.") var saveDtype: SaveType = .bfloat16
    @Option("Where metrics go beside metrics.jsonl: event files in the output directory's tensorboard folder.")
    var reportTo: ReportTarget = .none
    @Flag("Continue from the newest intact checkpoint in the output directory.") var resume

    enum ReportTarget: String, CaseIterable, OptionValue { case none, tensorboard }

    enum SaveType: String, CaseIterable, OptionValue {
        case bfloat16, float32

        var type: TensorType { self == .bfloat16 ? .bfloat16 : .float32 }
    }
}

struct TrainOptions: Options {
    static let summary = "Trains a draft online against a frozen target."

    var target = TargetOptions()
    var data = DataOptions()
    var cache = TargetCacheOptions()
    var output = OutputOptions()
    var evaluation = EvaluationOptions()
    var draft = DraftOptions()
    var optimizer = OptimizerOptions()

    func validate() throws(OptionsError) {
        try draft.validate()
        try optimizer.validate()
        try cache.validate()
        if data.evalDataPath.isEmpty, let option = evaluation.changed.first {
            throw .rule("\(option.name) needs --eval-data-path")
        }
        if evaluation.evalMaxSamples == 0,
            let option = evaluation.changed.first(where: { EvaluationOptions.ofDecoding.contains($0.name) })
        {
            throw .rule("\(option.name) has no effect beside --eval-max-samples 0: no prompt is decoded")
        }
    }

    var settings: TrainingSettings {
        TrainingSettings(
            numEpochs: optimizer.numEpochs, totalSteps: optimizer.totalSteps, batchSize: optimizer.batchSize,
            globalBatchSize: optimizer.draftGlobalBatchSize, learningRate: optimizer.learningRate,
            schedule: optimizer.learningRateSchedule, warmupRatio: optimizer.warmupRatio,
            maxGradNorm: optimizer.maxGradNorm, normalization: draft.lossNormalization,
            featureLossWeight: draft.featureLossWeight, seed: optimizer.seed, isDeterministic: optimizer.deterministic,
            badSamples: data.onBadSample, reduceType: optimizer.reduceDtype,
            adam: AdamW.Settings(
                beta1: optimizer.adamBeta1, beta2: optimizer.adamBeta2, weightDecay: optimizer.weightDecay),
            muon: optimizer.muon)
    }

    var checkpoints: Checkpoints {
        Checkpoints(directory: output.outputDir, keepLast: output.keepLast, type: output.saveDtype.type)
    }

    /// - Parameters:
    ///   - fixed: What must not change between a run and its continuation.
    ///   - spent: How long the program took before the run.
    func runSettings(fixed: [String: String], spent: Duration) -> TrainingRun.Settings {
        TrainingRun.Settings(
            logSteps: output.logSteps, saveInterval: output.saveInterval, evalInterval: evaluation.evalInterval,
            patience: evaluation.patience, resumes: output.resume, logsProfile: target.profile, fixed: fixed,
            spent: spent)
    }

    var metrics: RunMetrics.Settings {
        RunMetrics.Settings(
            directory: output.outputDir, writesEvents: output.reportTo == .tensorboard,
            maxGradNorm: optimizer.maxGradNorm, orthogonalizes: optimizer.muon != nil, hasTargetCache: cache.isUsed,
            options: described)
    }

    /// What must not change between a run and its continuation.
    ///
    /// - Parameters:
    ///   - data: What tells the samples from others, by name.
    ///   - compute: What computes, whatever was asked for.
    func fixedSettings(
        data: [String: String], draft configuration: any DraftConfiguration, _ compute: Compute
    ) -> [String: String] {
        var settings = [
            "draft configuration": Digest(of: configuration.json.compact).hex,
            "--total-steps": optimizer.totalSteps?.shown ?? "\(optimizer.numEpochs) epochs",
            "--draft-global-batch-size": optimizer.draftGlobalBatchSize.shown,
            "--learning-rate": optimizer.learningRate.shown, "--warmup-ratio": optimizer.warmupRatio.shown,
            "--max-grad-norm": optimizer.maxGradNorm.shown, "--seed": optimizer.seed.shown,
            "--loss-normalization": draft.lossNormalization.shown, "--adam-beta1": optimizer.adamBeta1.shown,
            "--adam-beta2": optimizer.adamBeta2.shown, "--weight-decay": optimizer.weightDecay.shown,
            "--dtype": compute.precision.shown, "--gemm-library": compute.gemmLibrary.shown,
            "the target's features": cache.fixedSetting,
            "--learning-rate-schedule": optimizer.learningRateSchedule.shown,
            "--feature-loss-weight": draft.featureLossWeight.shown,
            "--lm-head-init": draft.lmHeadInit.shown,
            "--freeze-lm-head": "\(draft.freezeLmHead)", "--ckpt-dir": draft.ckptDir ?? "none",
            "--lk-loss-type": draft.lkLossType.shown,
            "--kl-scale": draft.klScale.shown,
            "--kl-decay": draft.klDecay.shown,
            "--deterministic": optimizer.deterministic ? "yes" : "no",
            "--reduce-dtype": optimizer.reduceDtype.shown,
            "--optimizer": optimizer.muon.map {
                "muon of momentum \($0.momentum.shown), rate \((optimizer.muonLearningRate ?? optimizer.learningRate).shown)"
            } ?? "adamw",
        ]
        for (name, value) in configuration.own(draft.own)?.described ?? [] { settings[name] = value }
        for (name, value) in data { settings["the training data's \(name)"] = value }
        return settings
    }
}
