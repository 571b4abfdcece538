import Shared

/// The measuring of a draft: held-out statistics and speculative decoding of the samples' prompts.
///
/// Samples are divided among data-parallel groups; the ranks of a tensor-parallel group decode each one together.
final class Evaluation {
    private let options: EvaluateCommand.Options
    private let grid: ProcessGrid
    let samples: StoreSamples
    private let model: OnlineDraft
    private let target: DecoderTargetModel
    private let draftToTarget: [Int32]
    private let positions: Int
    private let workspace: Workspace
    private let limits: HeldOutDecoding.Limits

    /// - Parameter reference: What the result will be compared with, and says what is decoded; nil if the options do.
    init(
        _ options: EvaluateCommand.Options, _ grid: ProcessGrid, _ reference: AcceptanceReference? = nil,
        registry: DraftRegistry = .standard
    ) throws {
        self.options = options
        self.grid = grid
        workspace = Workspace(grid.compute)
        limits = HeldOutDecoding.Limits(
            prompts: reference?.prompts, newTokens: reference?.newTokens ?? options.maxNewTokens,
            draftLength: reference?.draftLength ?? options.draftLength, tree: options.draftTree,
            keepsOutput: options.samplesOutput != nil,
            sampling: options.sampling, seed: options.seed)
        samples = try options.store.open(
            options.evalDataPath, options.target, limit: reference?.samples ?? options.maxSamples)
        let target = try ModelConfiguration(directory: options.target.targetModelPath)
        let saved = try options.draftModelPath.map { try SavedDraft($0, target: target, registry) }
        let configuration =
            try saved?.configuration
            ?? registry.generated(options.draftArchitecture, target: target, draftVocabSize: options.draftVocabSize)
        try configuration.expectOwn(options.own)
        let longest = max(samples.longest, limits.reach(longest: samples.longest))
        let draft = try configuration.makeDraft(options.own, DraftSettings(positions: longest), grid.compute)
        try limits.expectDraftable(by: draft)
        positions = longest + draft.positionsAfterEnd
        if let saved {
            draftToTarget = saved.draftToTarget
            try saved.load(into: draft.parameters, targetPath: options.target.targetModelPath)
        } else {
            draftToTarget = try samples.vocabularyMapping(draftVocabSize: configuration.draftVocabSize).draftToTarget
            draft.initialize(seed: 0)
        }
        self.target = try TargetModelRegistry.load(
            options.target.targetModelPath, communicator: grid.tensorParallel, positions: positions, grid.compute,
            expertParallel: options.target.expertParallel, unpacks: options.target.unpackTarget,
            world: grid.world,
            beforeReading: { try grid.expectMemory(for: $0, besides: 4 * draft.parameters.weights.count) })
        draft.takeTargetWeights(self.target, draftToTarget: draftToTarget)
        model = OnlineDraft(
            target: self.target, draft: draft, teacher: CompactTeacher(self.target, draftToTarget: draftToTarget),
            targetLayers: configuration.targetLayers)
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
        let decoding = try HeldOutDecoding(
            draft: model.draft, targetLayers: model.targetLayers, draftToTarget: draftToTarget, target, samples, limits,
            positions: positions, grid, in: workspace)
        let progress = Progress("decoding", total: Double(samples.count), unit: "samples")
        let result = try decoding.run(comparesPlain: true) { done, statistics in
            progress.update(
                Double(done), note: "\(fixed(statistics.acceptedPerVerification, 3)) accepted a verification")
        }
        progress.finish()
        return EvaluationReport(
            heldOut: heldOut, decoding: result, tree: limits.tree, sampling: limits.sampling,
            costs: try decoding.costs(),
            reference: try decoding.reference(result))
    }
}
