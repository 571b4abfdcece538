import Foundation
import Shared
import Testing

@testable import Trainer

extension Trait where Self == ConditionTrait {
    /// Reported as skipped, and not as passed, on CPUs that don't multiply in bfloat16.
    static var needsBFloat16: Self { .enabled(if: Machine.hasBFloat16, "needs AVX512-BF16") }
    /// The same on CPUs for which weights aren't blocked.
    static var needsAMX: Self {
        .enabled(if: BlockProducts(threads: 1, hasIndependentRows: true).support(depth: 32), "needs AMX")
    }
}

extension Compute {
    /// What tests compute with unless they say: float32, by `EYRIE_TEST_THREADS` threads, one if that isn't set.
    static let test = Compute(
        threads: ProcessInfo.processInfo.environment["EYRIE_TEST_THREADS"].flatMap { Int($0) } ?? 1)

    /// The ways to compute that reference numbers are compared in.
    enum Way: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case float32, eightThreads, bfloat16

        /// Those that every CPU has; a test of the others `needsBFloat16`.
        static let everywhere: [Way] = [.float32, .eightThreads]

        /// Threads of its own, whatever the machine has.
        var compute: Compute {
            switch self {
            case .float32: Compute()
            case .eightThreads: Self.eight
            case .bfloat16: Self.rounded
            }
        }

        private static let eight = Compute(threads: 8)
        private static let rounded = Compute(precision: .bfloat16)

        var testDescription: String { rawValue }
    }
}

extension Workspace {
    convenience init() { self.init(.test) }
}

extension FrozenWeights {
    convenience init(isLaidOut: Bool = false) { self.init(.test, isLaidOut: isLaidOut) }
}

extension ParameterStore {
    convenience init(_ declarations: [Declaration]) { self.init(declarations, .test) }
}

extension ProcessGrid {
    init(world: any Communicator, tpSize: Int) throws { try self.init(world: world, tpSize: tpSize, .test) }
}

extension Eagle3Configuration {
    init(target: ModelConfiguration, draftVocabSize: Int? = nil) throws(JSONError) {
        self = try .generated(DraftRegistry.defaultArchitecture, target: target, draftVocabSize: draftVocabSize)
    }
}

extension DraftConfiguration {
    func makeDraft(positions: Int, freezesHead: Bool = false) throws -> any DraftModel {
        try makeDraft(Training(), DraftSettings(positions: positions, freezesHead: freezesHead), .test)
    }
}

extension Eagle3DraftModel {
    init(
        _ shape: Shape, _ training: Eagle3Training = Eagle3Training(), rotary: RotaryEmbedding,
        freezesHead: Bool = false, objective: DraftObjective = .crossEntropy
    ) {
        self.init(shape, training, rotary: rotary, freezesHead: freezesHead, objective: objective, .test)
    }
}

extension OnlineDraft {
    func run(_ samples: [[Sample]], weights: LossWeights?, in workspace: Workspace) -> TrainingStatistics {
        run(samples.map { $0.map { TrainingSequence(sample: $0) } }, weights: weights, in: workspace)
    }
}

extension TargetModelRegistry {
    static func load(
        _ directory: String, communicator: any Communicator, positions: Int, expertParallel: Bool = false,
        layersWait: Bool = false
    ) throws -> DecoderTargetModel {
        try load(
            directory, communicator: communicator, positions: positions, .test, expertParallel: expertParallel,
            layersWait: layersWait)
    }

    static func layOut(
        _ directory: String, communicator: any Communicator, positions: Int, expertParallel: Bool = false
    ) throws -> DecoderTargetModel {
        try layOut(directory, communicator: communicator, positions: positions, .test, expertParallel: expertParallel)
    }
}
