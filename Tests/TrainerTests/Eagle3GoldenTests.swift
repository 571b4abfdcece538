import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// Whole training runs of SpecForge 0.2.0, step by step: losses, gradients and parameters.
struct Eagle3GoldenTests {
    static let cases = Golden.cases("eagle3") { name in
        guard let run = try? GoldenRun(name) else { return false }
        return run.isSupported
    }

    @Test func thereAreGoldens() { #expect(!Self.cases.isEmpty) }

    @Test(arguments: cases, [Compute.Way.float32, .eightThreads])
    func lossesGradientsAndParametersEqualSpecForge(name: String, way: Compute.Way) throws {
        let run = try GoldenRun(name)
        let workspace = Workspace(way.compute)
        let trainer = try run.trainer(AbsentRanks(), way.compute)
        let draft = trainer.draft
        let optimizer = ShardedOptimizer(draft.parameters, AdamW.Settings(), AbsentRanks())
        let schedule = LearningRateSchedule(
            peak: Float(run.expected.learningRate), warmupRatio: 0.2, totalSteps: run.expected.totalSteps)
        for (index, sample) in run.samples.enumerated() {
            let micro = run.expected.microBatches[index]
            // SpecForge's loss is the mean over all rows, divided by the number of micro batches of a step; its
            // gradients of the first one are written down before that division.
            let weight = 1 / Float(sample.inputIDs.count) / Float(run.expected.accumulation)
            let weights = LossWeights(sequences: [weight], acceptanceRows: [Float(sample.inputIDs.count)])
            let statistics = trainer.run([[sample]], weights: weights, in: workspace)
            let rows = Double(sample.inputIDs.count)
            expectClose(
                statistics.positions.map { Float($0.objective / rows) }, micro.losses.map { Float($0) },
                tolerance: 1e-4,
                "losses of micro batch \(index)")
            expectClose(
                statistics.positions.map { Float($0.acceptance / max(1, $0.learnt)) },
                micro.acceptanceRates.map { Float($0) },
                tolerance: 1e-4, "acceptance rates of micro batch \(index)")
            #expect(statistics.positions.map(\.correct) == micro.correct, "correct rows of micro batch \(index)")
            if index == 0 { try compare(draft.parameters, run, "grads_0", Float(run.expected.accumulation)) }
            guard (index + 1).isMultiple(of: run.expected.accumulation) else { continue }
            let step = index / run.expected.accumulation
            let norm = optimizer.gradientNorm()
            let wanted = run.expected.optimizerSteps[step]
            expectClose([Float(norm)], [Float(wanted.gradNorm)], tolerance: 1e-3, "gradient norm of step \(step)")
            let learningRate = schedule.learningRate(at: step)
            expectClose([learningRate], [Float(wanted.learningRate)], tolerance: 1e-5, "learning rate of step \(step)")
            optimizer.update(
                learningRate: learningRate,
                gradientFactor: GradientClipping.factor(norm: norm, limit: Float(run.expected.maxGradNorm)),
                in: workspace)
            draft.parameters.zeroGradients()
            let file = "step_\(step + 1)"
            if fileExists(run.path(file)) { try compare(draft.parameters, run, file, nil) }
        }
    }

    /// Compares weights, or if `gradientScale` is given gradients, with those of a file.
    private func compare(
        _ store: ParameterStore, _ run: GoldenRun, _ file: String, _ gradientScale: Float?
    ) throws {
        let golden = try SafetensorsFile(run.path(file))
        for parameter in store.parameters {
            for part in parameter.parts {
                let matrix = gradientScale == nil ? parameter.weight : parameter.gradient
                let found = matrix[rows: part.rows].elements.map { $0 * (gradientScale ?? 1) }
                expectClose(
                    found, try golden.golden(part.name).values, tolerance: 2e-4, "\(file) \(part.name)")
            }
        }
    }
}

/// One folder of `eagle3/`.
struct GoldenRun {
    struct Expected: Decodable {
        struct MicroBatch: Decodable {
            let losses: [Double]
            let acceptanceRates: [Double]
            let correct: [Double]
        }
        struct OptimizerStep: Decodable {
            let gradNorm: Double
            let learningRate: Double
        }
        let target: String
        let auxLayers: [Int]
        let tttLength: Int
        let accumulation: Int
        let learningRate: Double
        let totalSteps: Int
        let maxGradNorm: Double
        let lkLossType: String?
        let microBatches: [MicroBatch]
        let optimizerSteps: [OptimizerStep]
    }

    private struct Row: Decodable {
        let inputIds: [Int32]
        let lossMask: [Int]
    }

    let directory: String
    let expected: Expected
    let samples: [Sample]

    init(_ name: String) throws {
        let url = Fixtures.goldens.appending(path: "eagle3/\(name)")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        directory = url.path
        expected = try decoder.decode(Expected.self, from: Data(contentsOf: url.appending(path: "expected.json")))
        let rows = try decoder.decode([Row].self, from: Data(contentsOf: url.appending(path: "batches.json")))
        samples = rows.map { Sample(inputIDs: $0.inputIds, lossMask: $0.lossMask.map { $0 != 0 }) }
    }

    func path(_ file: String) -> String { "\(directory)/\(file).safetensors" }

    /// Whether the target's family is built.
    var isSupported: Bool {
        let configuration = try? ModelConfiguration(directory: targetDirectory)
        return TargetModelRegistry.architectures[configuration?.architectures.first ?? ""] != nil
    }

    /// What the run minimised, with SpecForge's defaults of `kl_scale` and `kl_decay`.
    var objective: DraftObjective {
        switch expected.lkLossType {
        case "alpha": .alpha
        case "lambda": .lambda(scale: 1, decay: 1)
        default: .crossEntropy
        }
    }

    private var targetDirectory: String { Fixtures.goldens.appending(path: "targets/\(expected.target)").path }

    /// - Parameter variant: The form of draft; what the plain one lacks is random.
    func trainer(
        _ communicator: any Communicator, freezesHead: Bool = false, variant: DraftVariant = .plain,
        _ compute: Compute = .test
    ) throws -> OnlineDraft {
        let target = try TargetModelRegistry.load(
            targetDirectory, communicator: communicator, positions: 128, compute)
        let configuration = try ModelConfiguration(JSONFile("\(directory)/config.json"))
        let mapping = try SafetensorsFile(path("vocab_mapping")).tensor("d2t").integers()
        let shape = Eagle3DraftModel.Shape(
            hiddenSize: configuration.hiddenSize, targetHiddenSize: configuration.hiddenSize,
            intermediateSize: configuration.intermediateSize, numAttentionHeads: configuration.numAttentionHeads,
            numKeyValueHeads: configuration.numKeyValueHeads, headDim: configuration.headDim,
            draftVocabSize: mapping.count, rmsNormEpsilon: Float(configuration.rmsNormEpsilon))
        let rotary = try RotaryScaling(configuration.rope, headDim: configuration.headDim)
        let draft = Eagle3DraftModel(
            variant.applied(to: shape), Eagle3Training(tttLength: expected.tttLength, alignment: .eagle),
            rotary: rotary.embedding(positions: 128, length: 128), freezesHead: freezesHead, objective: objective,
            compute)
        let initial = try SafetensorsFile(path("draft_init"))
        draft.parameters.fillRandomly(scale: 0.1)
        for tensor in draft.parameters.tensors where initial.tensors[tensor.name] != nil {
            let values = try initial.golden(tensor.name).values
            for (i, value) in values.enumerated() { tensor.values.start[i] = value }
        }
        return OnlineDraft(
            target: target, draft: draft,
            teacher: CompactTeacher(target, draftToTarget: mapping.enumerated().map { Int32($0 + $1) }),
            targetLayers: expected.auxLayers)
    }
}
