import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// Targets against transformers: hidden states of every layer and logits, undivided and divided among ranks.
struct TargetGoldenTests {
    static let families = Golden.cases("targets") { $0.hasPrefix("llama") && !$0.hasPrefix("llama4") }

    @Test func thereAreGoldens() { #expect(Self.families.count >= 3) }

    @Test(arguments: families, [1, 2, 3, 4])
    func hiddenStatesAndLogitsEqualTransformers(family: String, tpSize: Int) throws {
        try Self.expectGolden(family, tpSize: tpSize, .float32, tolerance: 1e-4)
    }

    /// bfloat16 has 8 bits: each of a few layers adds its rounding.
    @Test(.enabled(if: Machine.hasBFloat16), arguments: families, [1, 3])
    func inBFloat16TheyDifferByItsRounding(family: String, tpSize: Int) throws {
        try Self.expectGolden(family, tpSize: tpSize, .bfloat16, tolerance: 3e-2)
    }

    private static func expectGolden(
        _ family: String, tpSize: Int, _ precision: MatrixPrecision, tolerance: Float
    ) throws {
        let directory = Fixtures.goldens.appending(path: "targets/\(family)").path
        let expected = try SafetensorsFile("\(directory)/expected.safetensors")
        let ids = try expected.tensor("input_ids").integers().map { Int32($0) }
        let states = try expected.golden("hidden_states")
        let logits = try expected.golden("logits")
        let results = try ThreadCommunicator.run(tpSize) { communicator in
            let workspace = Workspace()
            let target = try TargetModelRegistry.load(
                directory, communicator: communicator, positions: ids.count, precision: precision)
            let batch = Batch([Sample(inputIDs: ids, lossMask: ids.map { _ in true })])
            let x = workspace.matrix(rows: ids.count, columns: target.configuration.hiddenSize)
            try target.embed(ids, into: x)
            var hidden: [Float] = []
            try target.forward(x, DecoderRows(batch), in: workspace) { layer, input in
                if layer < target.configuration.numHiddenLayers { hidden += input.elements }
            }
            let part = workspace.matrix(rows: ids.count, columns: target.vocabulary.count)
            target.logits(x, into: part)
            return (hidden + x.elements, target.vocabulary, part.elements)
        }
        let vocabSize = logits.shape.last ?? 0
        for (hidden, vocabulary, part) in results {
            let layerCount = states.shape[0]
            let size = states.values.count / layerCount
            for layer in 0..<layerCount {
                let range = layer * size..<(layer + 1) * size
                expectClose(
                    Array(hidden[range]), Array(states.values[range]), tolerance: tolerance, "hidden state \(layer)")
            }
            let own = ids.indices.flatMap { row in vocabulary.map { logits.values[row * vocabSize + $0] } }
            expectClose(part, own, tolerance: tolerance, "logits \(vocabulary)")
        }
        #expect(results.map(\.1).reduce(0) { $0 + $1.count } == vocabSize)
    }
}
