import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// The example draft, registered beside the others: its mathematics, on a tiny target.
struct Qwen3Eagle3Tests {
    static let registry = DraftRegistry(
        DraftRegistry.standard.architectures.merging(["Eagle3Qwen3ForCausalLM": Qwen3Eagle3Configuration.self]) { $1 })
    private static let folder = Fixtures.folder.appending(path: "targets/llama").path
    private let workspace = Workspace(Compute())
    private let target: DecoderTargetModel
    private let configuration: ModelConfiguration

    init() throws {
        configuration = try ModelConfiguration(directory: Self.folder)
        target = try TargetModelRegistry.load(Self.folder, communicator: AbsentRanks(), positions: 128, Compute())
    }

    /// - Parameter layers: The target's layers that the draft sees.
    private func model(layers: [Int] = [0, 3, 4, 5], steps: Int = 3) throws -> (OnlineDraft, Qwen3Eagle3) {
        let generated = try Self.registry.generated(
            "Eagle3Qwen3ForCausalLM", target: configuration, draftVocabSize: 192)
        let text = generated.json.compact.replacing(
            try Regex(#""target_layer_ids":\[[^\]]*\]"#), with: "\"target_layer_ids\":\(layers)")
        let file = try JSONFile(contents: Array(text.utf8), path: "config.json")
        let read = try Self.registry.configuration(file, target: configuration)
        #expect(read.targetLayers == layers)
        var options = Eagle3Options()
        options.measuring = try Eagle3MeasuringOptions.parse(["--ttt-length", "\(steps)"])
        let draft = try read.makeDraft([options], DraftSettings(positions: 120), Compute())
        let mapping = (0..<Int32(192)).map { $0 + $0 / 3 }
        let own = try #require(draft as? Qwen3Eagle3)
        own.initialize(seed: 3)
        return (
            OnlineDraft(
                target: target, draft: draft, teacher: CompactTeacher(target, draftToTarget: mapping),
                targetLayers: layers),
            own
        )
    }

    private func sequence(_ length: Int, seed: UInt64, supervisedFrom first: Int) -> TrainingSequence {
        var random = Trainer.SplitMix64(seed: seed)
        return TrainingSequence(
            sample: Sample(
                inputIDs: (0..<length).map { _ in Int32(random.below(configuration.vocabSize)) },
                lossMask: (0..<length).map { $0 >= first && $0 != first + 3 }))
    }

    @Test func withoutItsLineTheDraftIsRefused() throws {
        let generated = try Self.registry.generated("Eagle3Qwen3ForCausalLM", target: configuration, draftVocabSize: 96)
        let file = try JSONFile(contents: Array(generated.json.pretty.utf8), path: "config.json")
        #expect(try Self.registry.configuration(file, target: configuration) is Qwen3Eagle3Configuration)
        let error = #expect(throws: JSONError.self) {
            try DraftRegistry.standard.configuration(file, target: configuration)
        }
        #expect(error.map { "\($0)".contains("'Eagle3Qwen3ForCausalLM'") } == true)
    }

    /// Norms of single heads among them; the features of one layer of the target, or of more than EAGLE-3's three.
    @Test(arguments: [[2], [0, 3, 4, 5]])
    func everyGradientIsTheDerivativeOfTheLoss(layers: [Int]) throws {
        let (model, draft) = try model(layers: layers)
        let sequences = [[sequence(19, seed: 1, supervisedFrom: 5), sequence(11, seed: 2, supervisedFrom: 2)]]
        let weights = LossWeights(sequences: [0.1, 0.1])
        let statistics = model.run(sequences, weights: weights, in: workspace)
        #expect(statistics.learnt > 10 && statistics.learnt < statistics.labels)
        let gradients = Array(draft.parameters.gradients)
        // Along random directions in each parameter, by differences over four points.
        for (parameter, place) in zip(draft.parameters.parameters, offsets(draft.parameters)) {
            var random = Trainer.SplitMix64(seed: UInt64(place.lowerBound) + 9)
            let direction = place.map { _ in Float(2 * random.uniform() - 1) }
            let saved = Array(draft.parameters.weights[place])
            let analytic = zip(gradients[place], direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            func loss(_ factor: Float) -> Double {
                for (i, index) in place.enumerated() {
                    draft.parameters.weights[index] = saved[i] + factor * direction[i]
                }
                let measured = model.run(sequences, weights: nil, in: workspace)
                return zip(draft.training.reportedWeights, measured.positions).reduce(0) { $0 + 0.1 * $1.0 * $1.1.loss }
            }
            let step: Float = 4e-3
            let (near, far) = (loss(step) - loss(-step), loss(2 * step) - loss(-2 * step))
            _ = loss(0)
            let numeric = (8 * near - far) / Double(12 * step)
            let scale = max(abs(numeric), abs(analytic), 0.05)
            #expect(
                abs(numeric - analytic) <= 2e-2 * scale,
                "\(parameter.parts[0].name): \(numeric) by differences, \(analytic)")
        }
    }

    /// Where each parameter is in the flat buffers, without the gaps after them.
    private func offsets(_ store: ParameterStore) -> [Range<Int>] {
        guard let start = store.weights.baseAddress else { return [] }
        return store.parameters.map { parameter in
            let first = parameter.weight.start - start
            return first..<first + parameter.weight.count
        }
    }

    @Test func everyRowOfTrainingIsWhatTheDecoderMakesOfTheSameTokens() throws {
        let (model, draft) = try model(steps: 4)
        let sequence = sequence(24, seed: 5, supervisedFrom: 0)
        let ids = sequence.sample.inputIDs
        let features = TargetFeatures(
            target: target, targetLayers: model.targetLayers, appendedTokens: draft.appendedTokens, cache: nil
        ).run([[sequence]], in: workspace)
        let lesson = Lesson(
            teacher: model.teacher, sequences: [[sequence]], features: features.auxiliary,
            embedding: features.embedding, targetHidden: features.hidden)
        let plan = draft.training.plan([sequence])
        let steps = draft.forward(lesson, plan, in: workspace)
        let decoder = try #require(
            draft.makeDecoder(draftToTarget: [], capacity: 32, workspace: workspace, embed: target.embed)
                as? Qwen3Eagle3Decoder)
        for (row, t) in plan.activeRows.map(Int.init).enumerated() where t + 4 < ids.count {
            decoder.restart()
            decoder.advance(features: features.auxiliary[rows: 0..<t + 1], next: Array(ids[1...t + 1]))
            for k in 0..<4 {
                if k > 0 { decoder.continueDraft(with: ids[t + 1 + k]) }
                let hidden = steps[k].rest.hidden
                let worst = (0..<hidden.columns).reduce(Float(0)) {
                    max($0, abs(decoder.hidden[0, $1] - hidden[row, $1]))
                }
                #expect(worst < 1e-4, "row \(t) of step \(k) differs by \(worst)")
            }
        }
    }

    @Test(arguments: [(1, 90, 1.0), (2, 60, 0.4)])
    func activationsArePlannedAsTheyAreTaken(sequences: Int, length: Int, share: Double) throws {
        let (model, draft) = try model()
        let sizes = StepSizes(sequences: sequences, length: length, supervised: share, tpSize: 1)
        _ = model.run(
            [sizes.sequences], weights: LossWeights(sequences: sizes.sequences.map { _ in 1 }), in: workspace)
        let planned = ActivationPlan(
            target, targetLayers: model.targetLayers.count, draft, sizes, Compute()
        ).elements
        let ratio = Double(planned) / Double(workspace.highWater)
        #expect(0.87...1.15 ~= ratio, "planned \(ratio) of what was taken")
    }
}
