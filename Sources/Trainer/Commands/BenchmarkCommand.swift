import Shared

/// `Trainer benchmark`: the speed of training, and what share of the machine's arithmetic is put to use.
enum BenchmarkCommand {
    struct Options: Shared.Options {
        static let summary = "Trains a few steps, and says how near they come to the rate of the largest product."

        var target = TargetOptions()
        @Option("Datasets to train on, whose store Preprocess built.", value: "FILE...") var trainDataPath: [String]
        var store = StoreOptions()
        var draft = DraftOptions()
        @Option("Sequences that are worked on at a time.", alias: "--draft-micro-batch-size", in: 1...1 << 20)
        var batchSize: Int = 1
        @Option("Sequences of a step.", in: 1...1 << 20) var draftGlobalBatchSize: Int = 8
        @Option("Steps that count, after a first one that doesn't.", in: 1...1_000_000) var steps: Int = 3
        @Option(
            "Numbers of threads to model a step for, of the longest sample, as if there were as many cores: how long "
                + "each parallel loop takes, into how many pieces it is cut, and how uneven they are.", in: 1...1024)
        var scaling: [Int] = []
        @Flag("Print one JSON object.") var json

        func validate() throws(OptionsError) { try draft.validate() }

        var settings: TrainingSettings {
            TrainingSettings(
                totalSteps: steps + 1, batchSize: batchSize, globalBatchSize: draftGlobalBatchSize,
                normalization: draft.lossNormalization, featureLossWeight: draft.featureLossWeight)
        }
    }

    static let command = Command("benchmark", Options.self) { options in
        let recorder = options.scaling.isEmpty ? nil : LoopRecorder(threads: 1)
        let grid = try Ranks.start(options.target, recorder: recorder)
        try Ranks.expectAlone(grid.world)
        if let recorder {
            let report = try ScalingBenchmark(options, grid, recorder).run(
                steps: options.steps, threads: options.scaling)
            print(options.json ? report.json.compact : report.text)
            return
        }
        let benchmark = try TrainingBenchmark(options, grid)
        let result = try benchmark.run(steps: options.steps)
        grid.logProfile(options.target)
        print(options.json ? result.json.compact : result.text)
    }
}
