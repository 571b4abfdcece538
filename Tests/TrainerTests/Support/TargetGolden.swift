import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// One folder of `targets/`: a tiny checkpoint, and what transformers computes with it.
struct TargetGolden {
    static let families = Golden.cases("targets") { _ in true }
    /// Those, and as `gguf/FAMILY` the GGUF files, most of whose weights are packed.
    static let familiesAndPackedOnes = families + GGUFGoldenTests.families.map { "\(packedPrefix)\($0)" }

    private static let packedPrefix = "gguf/"

    let directory: String
    let ids: [Int32]
    /// [layers + 1, tokens, hidden].
    let states: GoldenTensor
    /// [tokens, vocabulary].
    let logits: GoldenTensor

    init(_ family: String) throws {
        if family.hasPrefix(Self.packedPrefix) {
            let file = Fixtures.folder.appending(path: family).path
            try self.init(directory: "\(file).gguf", expected: SafetensorsFile("\(file).safetensors"))
        } else {
            let directory = Fixtures.goldens.appending(path: "targets/\(family)").path
            try self.init(directory: directory, expected: SafetensorsFile("\(directory)/expected.safetensors"))
        }
    }

    init(directory: String, expected: SafetensorsFile) throws {
        self.directory = directory
        ids = try expected.tensor("input_ids").integers().map { Int32($0) }
        states = try expected.golden("hidden_states")
        logits = try expected.golden("logits")
    }

    /// The states of all layers but the last, which is after the final norm, or of that one alone.
    func state(_ layer: Int) -> [Float] {
        let size = states.values.count / states.shape[0]
        return Array(states.values[layer * size..<(layer + 1) * size])
    }

    /// What the family makes of its configuration.
    var description: DecoderDescription {
        get throws {
            let configuration = try ModelConfiguration(directory: directory)
            let describe = try #require(TargetModelRegistry.architectures[configuration.architectures[0]])
            return try describe(configuration)
        }
    }

    func load(
        _ communicator: any Communicator, _ compute: Compute = .test, expertParallel: Bool = false,
        positions: Int? = nil
    ) throws -> DecoderTargetModel {
        try TargetModelRegistry.load(
            directory, communicator: communicator, positions: positions ?? ids.count, compute,
            expertParallel: expertParallel)
    }

    /// Runs a target over the whole sequence and compares every hidden state and this rank's logits.
    func expectEqual(_ target: DecoderTargetModel, tolerance: Float = 1e-4) throws {
        let workspace = Workspace(target.memory.compute)
        let batch = Batch([Sample(inputIDs: ids, lossMask: ids.map { _ in true })])
        let x = workspace.matrix(rows: ids.count, columns: target.configuration.hiddenSize)
        target.embed(ids, into: x)
        target.forward(x, DecoderRows(batch), in: workspace) { layer, input in
            guard layer < target.configuration.numHiddenLayers else { return }
            expectClose(input.elements, state(layer), tolerance: tolerance, "hidden state \(layer)")
        }
        expectClose(x.elements, state(states.shape[0] - 1), tolerance: tolerance, "last hidden state")
        let part = workspace.matrix(rows: ids.count, columns: target.vocabulary.count)
        target.logits(x, into: part)
        let vocabSize = logits.shape.last ?? 0
        let own = ids.indices.flatMap { row in target.vocabulary.map { logits.values[row * vocabSize + $0] } }
        expectClose(part.elements, own, tolerance: tolerance, "logits \(target.vocabulary)")
    }
}

extension DecoderTargetModel {
    /// This rank's logits of a whole sequence, row by row.
    func logits(of ids: [Int32]) -> [Float] {
        let workspace = Workspace(memory.compute)
        let x = workspace.matrix(rows: ids.count, columns: configuration.hiddenSize)
        embed(ids, into: x)
        let batch = Batch([Sample(inputIDs: ids, lossMask: ids.map { _ in true })])
        forward(x, DecoderRows(batch), in: workspace) { _, _ in }
        let logits = workspace.matrix(rows: ids.count, columns: vocabulary.count)
        self.logits(x, into: logits)
        return logits.elements
    }
}
