import Shared

/// The measuring of a draft: held-out statistics and speculative decoding of the samples' prompts.
///
/// Samples are divided among data-parallel groups; the ranks of a tensor-parallel group decode each one together.
final class Evaluation {
    private let options: EvaluateCommand.Options
    private let grid: ProcessGrid
    private let samples: StoreSamples
    private let model: OnlineEagle3
    private let target: DecoderTargetModel
    private let draftToTarget: [Int32]
    private let positions: Int
    private let workspace: Workspace

    init(_ options: EvaluateCommand.Options, _ grid: ProcessGrid) throws {
        self.options = options
        self.grid = grid
        workspace = Workspace(grid.compute)
        samples = try options.store.open(options.evalDataPath, options.target, limit: options.maxSamples)
        let configuration = try ModelConfiguration(directory: options.target.targetModelPath)
        positions = samples.longest + options.maxNewTokens + options.draftLength + options.tttLength + 2
        let draft: any DraftModel
        let draftConfiguration: Eagle3Configuration
        if let path = options.draftModelPath {
            let saved = try SavedDraft(path, target: configuration)
            (draftConfiguration, draftToTarget) = (saved.configuration, saved.draftToTarget)
            draft = try draftConfiguration.makeDraft(positions: positions, grid.compute)
            try draft.parameters.load(saved.weights)
        } else {
            draftConfiguration = try Eagle3Configuration(
                target: configuration, draftVocabSize: options.draftVocabSize)
            let size = draftConfiguration.shape.draftVocabSize
            draftToTarget = try samples.vocabularyMapping(draftVocabSize: size).draftToTarget
            draft = try draftConfiguration.makeDraft(positions: positions, grid.compute)
            draft.initialize(seed: 0)
        }
        target = try TargetModelRegistry.load(
            options.target.targetModelPath, communicator: grid.tensorParallel, positions: positions, grid.compute,
            expertParallel: options.target.expertParallel,
            beforeReading: { try grid.expectMemory(for: $0, besides: 4 * draft.parameters.weights.count) })
        model = OnlineEagle3(
            target: target, draft: draft, teacher: CompactTeacher(target, draftToTarget: draftToTarget),
            auxiliaryLayers: draftConfiguration.auxiliaryLayers, tttLength: options.tttLength, alignment: .label)
    }

    func run() throws -> EvaluationReport {
        let measuring = Progress("held-out loss", total: Double(samples.count), unit: "samples")
        let heldOut = try HeldOut.measure(
            samples, model, grid, batchSize: 1, stepSize: grid.world.size, in: workspace
        ) {
            measuring.update(Double($0))
        }
        measuring.finish()
        return try decode(heldOut)
    }

    private func decode(_ heldOut: TrainingStatistics) throws -> EvaluationReport {
        let decoding = HeldOutDecoding(
            draft: model.draft, auxiliaryLayers: model.auxiliaryLayers, draftToTarget: draftToTarget, target, samples,
            HeldOutDecoding.Limits(prompts: nil, newTokens: options.maxNewTokens, draftLength: options.draftLength),
            positions: positions, grid, in: workspace)
        let progress = Progress("decoding", total: Double(samples.count), unit: "samples")
        let result = try decoding.run(comparesPlain: true) { done, statistics in
            progress.update(
                Double(done), note: "\(fixed(statistics.acceptedPerVerification, 3)) accepted a verification")
        }
        progress.finish()
        return EvaluationReport(heldOut: heldOut, decoding: result, costs: try decoding.costs())
    }
}
