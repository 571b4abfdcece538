import Foundation
import Shared
import TestSupport

@testable import Trainer

/// One folder of `dflash/` or `dspark/`: a training run of a reference implementation, and drafting rounds of another.
struct BlockGolden {
    struct Expected: Decodable {
        struct MicroBatch: Decodable {
            let loss: Double
            /// Each by the rows of a block.
            let sumsByPosition: [String: [Double]]
        }
        struct OptimizerStep: Decodable {
            let gradNorm: Double
            let learningRate: Double
        }
        struct Drafting: Decodable {
            struct Round: Decodable {
                let position: Int
                let anchor: Int32
                let drafted: [Int32]
                let accepted: Int
            }
            let prompt: [Int32]
            let output: [Int32]
            let rounds: [Round]
        }
        let target: String
        let reference: String
        let loss: [String: Float]
        let labels: String
        let positionWeights: String
        let gamma: Float
        let dpaceAlpha: Float
        let denominator: String
        let confidenceAlpha: Float?
        let accumulation: Int
        let learningRate: Double
        let totalSteps: Int
        let maxGradNorm: Double
        let microBatches: [MicroBatch]
        let optimizerSteps: [OptimizerStep]
        let drafting: Drafting?
    }

    private struct Row: Decodable {
        let inputIds: [Int32]
        let lossMask: [Int]
        let anchors: [Int]
    }

    static let cases = ["dflash", "dspark"].flatMap { folder in
        Golden.cases(folder) { fileExists(Fixtures.goldens.appending(path: "\(folder)/\($0)/expected.json").path) }
            .map { "\(folder)/\($0)" }
    }

    let directory: String
    let expected: Expected
    /// Each micro batch's, whose seed is its number.
    let sequences: [TrainingSequence]
    let anchors: [[Int]]

    init(_ name: String) throws {
        let url = Fixtures.goldens.appending(path: name)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        directory = url.path
        expected = try decoder.decode(Expected.self, from: Data(contentsOf: url.appending(path: "expected.json")))
        let rows = try decoder.decode([Row].self, from: Data(contentsOf: url.appending(path: "batches.json")))
        sequences = rows.enumerated().map { index, row in
            TrainingSequence(
                sample: Sample(inputIDs: row.inputIds, lossMask: row.lossMask.map { $0 != 0 }), seed: UInt64(index))
        }
        anchors = rows.map(\.anchors)
    }

    func path(_ file: String) -> String { "\(directory)/\(file).safetensors" }
    var targetDirectory: String { Fixtures.goldens.appending(path: "targets/\(expected.target)").path }

    var configuration: DFlashConfiguration {
        get throws {
            try DFlashConfiguration(
                JSONFile("\(directory)/config.json"), target: ModelConfiguration(directory: targetDirectory))
        }
    }

    /// As the reference learns, from the anchors that are given.
    var training: BlockTraining {
        let known = Dictionary(uniqueKeysWithValues: anchors.enumerated().map { (UInt64($0.offset), $0.element) })
        return BlockTraining(
            loss: BlockLoss(
                ce: expected.loss["ce"] ?? 0, kl: expected.loss["kl_div"] ?? 0,
                tv: (expected.loss["tv"] ?? 0) + 2 * (expected.loss["l1"] ?? 0),
                confidence: expected.confidenceAlpha ?? 0,
                label: expected.labels == "tokens" ? .tokens : .target,
                weights: PositionWeights(
                    kind: expected.positionWeights == "dpace" ? .dpace : .decay, gamma: expected.gamma,
                    alpha: expected.dpaceAlpha, dividesByWeights: expected.denominator.hasPrefix("sum of"))),
            mask: expected.reference.hasPrefix("DeepSpec") ? .prefix : .row, anchors: .given(known))
    }

    /// - Parameter weights: The draft's, of a file of the folder.
    func model(
        _ communicator: any Communicator, weights: String = "draft_init", _ training: BlockTraining? = nil,
        _ compute: Compute = .test
    ) throws -> (online: OnlineDraft, draft: DFlashDraftModel) {
        let configuration = try configuration
        let target = try TargetModelRegistry.load(
            targetDirectory, communicator: communicator, positions: 128, compute)
        let draft = try configuration.makeDraft(training ?? self.training, positions: 128, compute)
        let mapping = try mapping
        draft.initializeHead(target, draftToTarget: mapping)
        let file = try SafetensorsFile(path(weights))
        for tensor in draft.parameters.trainedTensors {
            for (i, value) in try file.golden(tensor.name).values.enumerated() { tensor.values.start[i] = value }
        }
        return (
            OnlineDraft(
                target: target, draft: draft, teacher: CompactTeacher(target, draftToTarget: mapping),
                targetLayers: configuration.targetLayers), draft
        )
    }

    var mapping: [Int32] {
        get throws {
            let configuration = try configuration
            guard configuration.shape.hasOwnHead else { return (0..<Int32(configuration.vocabSize)).map { $0 } }
            return try SafetensorsFile(path("vocab_mapping")).tensor("d2t").integers().enumerated().map {
                Int32($0 + $1)
            }
        }
    }
}

extension OnlineDraft {
    /// What the target teaches of sequences, one rank's.
    func lesson(_ sequences: [TrainingSequence], in workspace: Workspace) -> Lesson {
        let features = TargetFeatures(
            target: target, targetLayers: targetLayers, appendedTokens: draft.appendedTokens, cache: nil
        ).run([sequences], in: workspace)
        return Lesson(
            teacher: teacher, sequences: [sequences], features: features.auxiliary, embedding: features.embedding,
            targetHidden: features.hidden)
    }
}
