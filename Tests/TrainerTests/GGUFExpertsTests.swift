import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// Llama 4's and DeepSeek-V3's GGUF files: what llama.cpp knows without them, and what is refused.
struct GGUFExpertsTests {
    /// Calls `body` with a fixture's file of other metadata, and of zeros.
    ///
    /// - Parameter keys: What is under keys after the architecture's name; nil to leave one out.
    private func withFile<R>(
        _ family: String, _ keys: [String: GGUFValue?] = [:], pre: String? = nil,
        shapes: [String: [Int]?] = [:], _ body: (String) throws -> R
    ) throws -> R {
        let file = try GGUFFile(GGUFGoldenTests.path(family))
        let architecture = try #require(file.metadata["general.architecture"]?.string)
        var metadata: [String: GGUFValue] = file.metadata
        for (key, value) in keys { metadata["\(architecture).\(key)"] = value }
        if let pre { metadata["tokenizer.ggml.pre"] = .string(pre) }
        var tensors = file.tensors.mapValues(\.shape)
        for (name, shape) in shapes { tensors[name] = shape }
        return try withTemporaryDirectory { directory in
            try GGUFWriter.write(
                "\(directory)/model.gguf", metadata.map { ($0.key, $0.value) },
                tensors: tensors.map { (name: $0.key, shape: $0.value) })
            return try body("\(directory)/model.gguf")
        }
    }

    private func description(_ path: String) throws -> DecoderDescription {
        let configuration = try ModelConfiguration(directory: path)
        let describe = try #require(TargetModelRegistry.architectures[configuration.architectures[0]])
        return try describe(configuration)
    }

    private func expectRefusal(_ path: String, _ text: String) throws {
        let error = #expect(throws: (any Error).self) {
            try TargetModelRegistry.load(path, communicator: AbsentRanks(), positions: 8)
        }
        let message = "\(try #require(error))"
        #expect(message.contains("model.gguf: \(text)"), "\(message)")
    }

    /// Gate and up of all experts in one tensor: the logits are those of two, to the bit.
    @Test(arguments: [
        "deepseek2", "gpt-oss", "granitehybrid", "lfm2moe", "llama4", "qwen35moe", "qwen3moe",
    ])
    func joinedExpertsAreTheSeparateOnes(family: String) throws {
        let file = try GGUFFile(GGUFGoldenTests.path(family))
        var numbers: [String: (shape: [Int], values: [Float])] = [:]
        for (name, tensor) in file.tensors {
            let parts = name.components(separatedBy: ".ffn_gate_exps.")
            if name.contains(".ffn_up_exps.") { continue }
            guard parts.count == 2 else {
                numbers[name] = (tensor.shape, try tensor.floats())
                continue
            }
            let up = try #require(file.tensors["\(parts[0]).ffn_up_exps.\(parts[1])"])
            let (gates, ups, count) = (try tensor.floats(), try up.floats(), tensor.shape[0])
            var shape = tensor.shape
            shape[1] *= 2
            let size = gates.count / count
            var values: [Float] = []
            for first in stride(from: 0, to: gates.count, by: size) {
                values += gates[first..<first + size]
                values += ups[first..<first + size]
            }
            numbers["\(parts[0]).ffn_gate_up_exps.\(parts[1])"] = (shape, values)
        }
        try #require(numbers.keys.contains { $0.contains("ffn_gate_up_exps") })
        let ids: [Int32] = [3, 5, 8, 13, 21, 34]
        let logits = { (path: String) in
            try ThreadCommunicator.run(2) {
                try TargetModelRegistry.load(path, communicator: $0, positions: ids.count, .test).logits(of: ids)
            }
        }
        try withTemporaryDirectory { directory in
            let metadata = file.metadata.map { ($0.key, $0.value) }
            let (whole, joined) = ("\(directory)/whole.gguf", "\(directory)/joined.gguf")
            try GGUFWriter.write(whole, metadata, tensors: file.tensors.map { ($0.key, $0.value.shape) }) {
                try #require(file.tensors[$0]).floats()
            }
            try GGUFWriter.write(joined, metadata, tensors: numbers.map { ($0.key, $0.value.shape) }) {
                try #require(numbers[$0]).values
            }
            #expect(try logits(joined) == logits(whole))
        }
    }

    @Test func llama4HasChunksTemperatureAndEveryFourthLayerUnturned() throws {
        let layers = try withFile("llama4") { try description($0) }.layers
        for (index, layer) in layers.enumerated() {
            let isFull = index == 3
            #expect((layer.rotation == nil) == isFull)
            #expect((layer.temperature?.floorScale == 8192 && layer.temperature?.attentionScale == 0.1) == isFull)
            if case .chunked(let size) = layer.span { #expect(size == 8192 && !isFull) } else { #expect(isFull) }
            if case .plain = layer.headNorm { #expect(!isFull) } else { #expect(isFull) }
            if case .experts = layer.feedForward { #expect(index % 2 == 1) } else { #expect(index % 2 == 0) }
        }
    }

    @Test func llama4Of128ExpertsHasNoNormOfHeads() throws {
        let layers = try withFile("llama4", ["expert_count": .int(128)]) { try description($0) }.layers
        #expect(layers.allSatisfy { if case .none = $0.headNorm { true } else { false } })
    }

    /// Groups and multipliers that older files leave out.
    @Test func whatDeepseekFilesLeaveOutIsAsInLlamaCpp() throws {
        let keys = ["expert_group_count", "expert_group_used_count", "expert_weights_norm", "expert_weights_scale"]
        let described = try withFile("deepseek2", Dictionary(uniqueKeysWithValues: keys.map { ($0, nil) })) {
            try description($0)
        }
        guard case .experts(let experts) = described.layers[1].feedForward,
            case .sigmoid(let weighting) = experts.weighting
        else {
            Issue.record("layer 1 has no such experts")
            return
        }
        #expect(weighting.groups == 1 && weighting.chosenGroups == 1 && weighting.scale == 1)
        #expect(weighting.epsilon == nil)
        #expect(
            try withFile("deepseek2", pre: "glm4") { try ModelConfiguration(directory: $0) }.architectures == [
                "Glm4MoeLiteForCausalLM"
            ])
    }

    @Test(
        arguments: [
            ("llama4", "attention.sliding_window", .int(0), "key 'llama4.attention.sliding_window' is 0, supported is"),
            ("llama4", "interleave_moe_layer_step", nil, "key 'llama4.interleave_moe_layer_step' is missing"),
            ("llama4", "expert_feed_forward_length", nil, "key 'llama4.expert_feed_forward_length' is missing"),
            (
                "llama4", "rope.dimension_count", .int(8),
                "key 'llama4.rope.dimension_count' is 8, supported is a head's"
            ),
            (
                "deepseek2", "expert_gating_func", nil,
                "key 'deepseek2.expert_gating_func' is missing, which stands for a softmax, supported is 2"
            ),
            ("deepseek2", "expert_gating_func", .int(1), "key 'deepseek2.expert_gating_func' is 1, supported is 2"),
            (
                "deepseek2", "attention.temperature_scale", .double(0.1),
                "key 'deepseek2.attention.temperature_scale' is set"
            ),
            (
                "deepseek2", "attention.key_length_mla", .int(16),
                "key 'deepseek2.attention.key_length_mla' is 16, should be above rope.dimension_count, 16"
            ),
            ("deepseek2", "attention.kv_lora_rank", nil, "key 'deepseek2.attention.kv_lora_rank' is missing"),
            ("deepseek2", "leading_dense_block_count", nil, "key 'deepseek2.leading_dense_block_count' is missing"),
            (
                "deepseek2", "nextn_predict_layers", .int(9),
                "key 'deepseek2.nextn_predict_layers' is 9, should be 0 to block_count, 3"
            ),
        ] as [(String, String, GGUFValue?, String)])
    func aKeyIsNamed(family: String, key: String, value: GGUFValue?, text: String) throws {
        try withFile(family, [key: value]) { try expectRefusal($0, text) }
    }

    /// One that is missing by the name that it would have in a Llama's checkpoint.
    @Test(
        arguments: [
            (
                "attn_v_b", nil,
                "model.layers.1.self_attn.v_b_proj.weight' is missing, should be there in shape [4, 32, 32]"
            ),
            ("attn_k_b", [4, 32, 16], "blk.1.attn_k_b.weight' has shape [4, 32, 16], should have [4, 32, 32]"),
            ("attn_kv_b", [256, 32], "blk.1.attn_kv_b.weight' of shape [256, 32] is no part of the model"),
        ] as [(String, [Int]?, String)])
    func aTensorIsNamed(name: String, shape: [Int]?, text: String) throws {
        try withFile("deepseek2", shapes: ["blk.1.\(name).weight": shape]) { path in
            try expectRefusal(path, "tensor '\(text)")
        }
    }

    /// All maps but that to keys and values, whose rows files have otherwise.
    @Test(arguments: ["deepseek2", "deepseek2-kv_b", "glm4-moe-lite"])
    func latentAttentionStaysPacked(family: String) throws {
        let golden = try TargetGolden("gguf/\(family)")
        let tensors = try GGUFFile(golden.directory).tensors
        for (index, layer) in try golden.load(AbsentRanks()).layers.enumerated() {
            guard case .latent(let attention) = layer.mixer else {
                Issue.record("a layer without latents")
                continue
            }
            for (map, names) in [
                (attention.down.weight, ["attn_q_a", "attn_kv_a_mqa"]),
                (attention.queryUp.weight, ["attn_q_b", "attn_q"]),
                (attention.output.weight, ["attn_output"]), (attention.keyValueUp.weight, []),
            ] {
                let isPacked = names.contains { tensors["blk.\(index).\($0).weight"]?.isPacked ?? false }
                if case .packed = map { #expect(isPacked, "\(names)") } else { #expect(!isPacked, "\(names)") }
            }
        }
    }
}
