import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// What a draft's checkpoint may hold, and what is refused by its name.
struct SavedDraftTests {
    private static func target() throws -> ModelConfiguration {
        try ModelConfiguration(directory: Fixtures.folder.appending(path: "targets/llama").path)
    }

    /// A checkpoint of a draft of 96 tokens, some of whose tensors are other ones.
    private static func load(_ changes: [String: (TensorType, [Int], [UInt8])?]) throws -> SavedDraft {
        let configuration = try Eagle3Configuration(target: target(), draftVocabSize: 96)
        let draft = try configuration.makeDraft(positions: 8)
        draft.initialize(seed: 1)
        var tensors: [String: (TensorType, [Int], [UInt8])] = [
            "d2t": (.int64, [96], bytes([Int64](repeating: 5, count: 96))),
            "t2d": (.bool, [256], (0..<256).map { 5..<101 ~= $0 ? 1 : 0 }),
        ]
        for (name, shape, values) in draft.parameters.tensors {
            tensors[name] = (.float32, shape, bytes(values.elements))
        }
        for (name, tensor) in changes { tensors[name] = tensor }
        let scratch = try ScratchDirectory()
        _ = try scratch.write("config.json", configuration.json.pretty)
        let sorted = tensors.sorted { $0.key < $1.key }
        var writer = try SafetensorsWriter(
            "\(scratch.path)/model.safetensors",
            sorted.map { .init(name: $0.key, type: $0.value.0, shape: $0.value.1) })
        for (_, tensor) in sorted { try writer.append(tensor.2) }
        try writer.finish()
        return try withExtendedLifetime(scratch) {
            let saved = try SavedDraft(scratch.path, target: target())
            try saved.load(into: draft.parameters, targetPath: Fixtures.folder.appending(path: "targets/llama").path)
            return saved
        }
    }

    private static func bytes<T>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

    private static func ones(_ shape: [Int]) -> (TensorType, [Int], [UInt8]) {
        (.float32, shape, bytes([Float](repeating: 1, count: shape.reduce(1, *))))
    }

    @Test func aWholeCheckpointLoads() throws {
        #expect(try Self.load([:]).draftToTarget == (5..<101).map { Int32($0) })
        #expect(try Self.load(["embed_tokens.weight": Self.ones([256, 32])]).draftToTarget.count == 96)
    }

    /// Tensors that would change what the draft computes, and that its configuration doesn't name.
    @Test(arguments: [
        "midlayer.self_attn.q_norm.weight", "midlayer.self_attn.k_norm.weight", "midlayer.self_attn.q_proj.bias",
        "fc_norm.0.weight", "fc.bias", "layers.1.mlp.down_proj.weight", "input_norm.weight", "lm_head.bias",
    ])
    func aTensorThatTheConfigurationDoesNotNameIsRefused(name: String) throws {
        let error = #expect(throws: WeightsError.self) { try Self.load([name: Self.ones([32])]) }
        #expect(error.map { "\($0)".contains(name) && "\($0)".contains("is no part of the draft") } == true)
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity], ["fc.weight", "norm.weight", "lm_head.weight"])
    func aWeightThatIsNotFiniteIsRefused(value: Float, name: String) throws {
        let shape = name == "fc.weight" ? [32, 96] : name == "norm.weight" ? [32] : [96, 32]
        var values = [Float](repeating: 1, count: shape.reduce(1, *))
        values[values.count - 2] = value
        let error = #expect(throws: WeightsError.self) { try Self.load([name: (.float32, shape, Self.bytes(values))]) }
        #expect(error.map { "\($0)".contains(name) && "\($0)".contains("should be finite") } == true)
    }

    /// Sums that overflow, wrap around 2³², are there twice or leave the vocabulary.
    @Test(
        arguments: [
            (0, .max), (3, .max - 2), (95, .min), (7, 1 << 32 + 5), (7, 4), (7, -8), (95, 161), (0, -1),
        ] as [(Int, Int64)])
    func aMappingThatLeavesTheVocabularyIsRefused(index: Int, value: Int64) throws {
        var offsets = [Int64](repeating: 5, count: 96)
        offsets[index] = value
        let error = #expect(throws: WeightsError.self) {
            try Self.load(["d2t": (.int64, [96], Self.bytes(offsets))])
        }
        #expect(error.map { "\($0)".contains("d2t") } == true)
    }
}

/// Whatever stands in a draft's mapping, it is refused or leads to ascending ids of the vocabulary.
struct SavedDraftFuzzTests {
    @Test func aMappingIsAscendingIDsOrAnError() throws {
        let target = try ModelConfiguration(directory: Fixtures.folder.appending(path: "targets/llama").path)
        let configuration = try Eagle3Configuration(target: target, draftVocabSize: 16)
        let scratch = try ScratchDirectory()
        _ = try scratch.write("config.json", configuration.json.pretty)
        var (accepted, refused) = (0, 0)
        try Fuzzing("draft-mapping", iterations: 300).run { generator in
            var offsets = (0..<16).map { _ in Int64.random(in: 0...3, using: &generator) }.reduce(into: [Int64]()) {
                $0.append(($0.last ?? 0) + $1)
            }
            for _ in 0..<Int.random(in: 0...2, using: &generator) {
                let extreme =
                    [Int64.min, .max, .max - 15, -1, 1 << 32, 241, 240, 0].randomElement(using: &generator) ?? 0
                offsets[Int.random(in: 0..<16, using: &generator)] = extreme
            }
            var writer = try SafetensorsWriter(
                "\(scratch.path)/model.safetensors", [.init(name: "d2t", type: .int64, shape: [16])])
            try writer.append(offsets)
            try writer.finish()
            do {
                let ids = try SavedDraft(scratch.path, target: target).draftToTarget
                #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 } && ids.allSatisfy { 0..<256 ~= $0 })
                #expect(ids == zip(0..., offsets).map { Int32($0 + Int64($1)) }.sorted())
                accepted += 1
            } catch is WeightsError {
                refused += 1
            }
        }
        if accepted + refused == 300 { #expect(accepted > 50 && refused > 50) }
    }
}
