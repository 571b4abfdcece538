import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// A target that can't be right is refused by name, before any work.
struct TargetErrorTests {
    /// Loads a copy of a tiny target after a change; returns the error's text.
    private func error(of family: String = "llama", _ change: (String) throws -> Void) throws -> String {
        try withTemporaryDirectory { directory in
            let source = Fixtures.folder.appending(path: "targets/\(family)").path
            for name in ["config.json", "model.safetensors"] {
                try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: "\(directory)/\(name)")
            }
            try change(directory)
            let error = #expect(throws: (any Error).self) {
                try TargetModelRegistry.load(directory, communicator: AbsentRanks(), positions: 8)
            }
            return "\(try #require(error))".replacingOccurrences(of: directory, with: "TARGET")
        }
    }

    /// Published Qwen3-0.6B and 1.7B have the head beside the embeddings that it is tied to.
    @Test(arguments: [
        ("gemma3-text", "lm_head"), ("gemma3-nested", "lm_head"), ("gemma3-nested", "language_model.lm_head"),
        ("llama-tied-bias", "lm_head"), ("llama", "lm_head.extra"), ("llama-tied-bias", "lm_head.extra"),
    ])
    func aHeadBesideTiedEmbeddingsIsIgnored(family: String, head: String) throws {
        try withTemporaryDirectory { directory in
            let source = Fixtures.folder.appending(path: "targets/\(family)").path
            for (from, to) in [("config.json", "config.json"), ("model.safetensors", "whole.safetensors")] {
                try FileManager.default.copyItem(atPath: "\(source)/\(from)", toPath: "\(directory)/\(to)")
            }
            let name = "\(head).weight"
            var writer = try SafetensorsWriter(
                "\(directory)/head.safetensors", [.init(name: name, type: .float32, shape: [2, 2])])
            try writer.append([1, 2, 3, 4] as [Float])
            try writer.finish()
            let names = try SafetensorsFile("\(source)/model.safetensors").tensors.keys
            let files = names.map { "\"\($0)\": \"whole.safetensors\"" } + ["\"\(name)\": \"head.safetensors\""]
            let index = "{\"weight_map\": {\(files.joined(separator: ", "))}}"
            try writeFile("\(directory)/model.safetensors.index.json", index.utf8)
            func load() throws {
                _ = try TargetModelRegistry.load(directory, communicator: AbsentRanks(), positions: 8)
            }
            guard head.hasSuffix(".extra") else { return try load() }
            let error = #expect(throws: WeightsError.self, performing: load)
            #expect("\(try #require(error))".contains("is no part of the model"))
        }
    }

    private func edit(_ directory: String, _ old: String, _ new: String) throws {
        let path = "\(directory)/config.json"
        let text = String(decoding: try readFile(path), as: UTF8.self)
        #expect(text.contains(old))
        try writeFile(path, text.replacingOccurrences(of: old, with: new).utf8)
    }

    @Test(arguments: [
        (
            #""hidden_size": 32"#, #""hidden_size": 64"#,
            "tensor 'model.embed_tokens.weight' has shape [256, 32], should have [256, 64]"
        ),
        (
            #""intermediate_size": 96"#, #""intermediate_size": 97"#,
            "tensor 'model.layers.0.mlp.gate_proj.weight' has shape [96, 32], should have [97, 32]"
        ),
        (
            #""num_hidden_layers": 6"#, #""num_hidden_layers": 7"#,
            "/model.safetensors: tensor 'model.layers.6.self_attn.q_proj.weight' is missing, should be there in shape "
                + "[32, 32]"
        ),
        (
            #""num_hidden_layers": 6"#, #""num_hidden_layers": 5"#,
            "model.safetensors: tensor 'model.layers.5.input_layernorm.weight' of shape [32] is no part of the model"
        ),
        (
            #""dtype": "float32""#, #""quantization_config": {"quant_method": "quanto"}"#,
            "key 'quantization_config.quant_method' is 'quanto', supported are awq, compressed-tensors, fp8, gptq, and mxfp4 of GptOssForCausalLM"
        ),
        (
            #""rope_scaling": null"#, #""rope_parameters": {"full_attention": {"rope_theta": 1}}"#,
            "key 'rope_parameters.full_attention' is an object"
        ),
        (#""mlp_bias": false"#, #""mlp_bias": true"#, "tensor 'model.layers.0.mlp.gate_proj.bias' is missing"),
        (
            #""LlamaForCausalLM""#, #""MambaForCausalLM""#,
            "'MambaForCausalLM', which isn't supported; supported: Cohere2ForCausalLM, "
        ),
        (
            #""rope_scaling": null"#, #""rope_scaling": {"rope_type": "spiral"}"#,
            "'spiral', supported are default, linear, llama3, yarn, longrope, dynamic"
        ),
        (#""hidden_act": "silu""#, #""hidden_act": "relu""#, "key 'hidden_act' is 'relu', supported is silu"),
        (#""vocab_size": 256"#, #""vocab_size": -1"#, "key 'vocab_size' is -1, should be 1 to 16777216"),
        (
            #""num_key_value_heads": 2"#, #""num_key_value_heads": 3"#,
            "key 'num_key_value_heads' is 3, should divide num_attention_heads, 4"
        ),
        (#""hidden_size": 32"#, #""hidden_size": "32""#, "key 'hidden_size' is a string, should be an integer"),
        (
            #""vocab_size": 256"#, #""vocab_size": 4294967296"#,
            "key 'vocab_size' is 4294967296, should be 1 to 16777216"
        ),
        (#""rms_norm_eps": 1e-05"#, #""rms_norm_eps": -1"#, "key 'rms_norm_eps' is -1.0, should be at least 0"),
        (
            #""rope_scaling": null"#, #""rope_scaling": "linear""#,
            "key 'rope_scaling' is a string, should be an object"
        ),
        (
            #""rope_scaling": null"#, #""rope_scaling": {"rope_type": "linear", "factor": "4"}"#,
            "key 'rope_scaling.factor' is a string, should be a number"
        ),
        (
            #""rope_scaling": null"#, #""rope_scaling": {"rope_type": "dynamic", "factor": 0}"#,
            "key 'rope_scaling.factor' is 0.0, should be above 0"
        ),
        (
            #""dtype": "float32""#, #""quantization_config": {"load_in_4bit": true}"#,
            "key 'quantization_config.quant_method' is missing"
        ),
    ])
    func aConfigurationThatDoesNotFitIsNamed(old: String, new: String, message: String) throws {
        let text = try error { try edit($0, old, new) }
        #expect(text.contains("TARGET") && text.contains(message), "\(text)")
    }

    @Test(arguments: [
        (
            "gemma3-text", #""final_logit_softcapping": null"#, #""final_logit_softcapping": 30"#,
            "key 'final_logit_softcapping' is set, which isn't supported"
        ),
        (
            "gemma3-text", #""use_bidirectional_attention": false"#, #""use_bidirectional_attention": true"#,
            "key 'use_bidirectional_attention' is set, which isn't supported"
        ),
        (
            "gpt-oss", #""num_local_experts": 4"#, #""num_local_experts": 5"#,
            "tensor 'model.layers.0.mlp.router.weight' has shape [4, 32], should have [5, 32]"
        ),
        (
            "qwen3-moe", #""moe_intermediate_size": 48"#, #""moe_intermediate_size": 40"#,
            "tensor 'model.layers.0.mlp.experts.0.gate_proj.weight' has shape [48, 32], should have [40, 32]"
        ),
        (
            "qwen3", #""full_attention",\#n    "full_attention","#, #""full_attention", "linear_attention","#,
            "key 'layer_types.1' is 'linear_attention', supported are full_attention, sliding_attention"
        ),
        (
            "gpt-oss-mxfp4", #""num_local_experts": 3"#, #""num_local_experts": 3, "layer_types": ["full_attention"]"#,
            "key 'layer_types' names 1 layers, should name num_hidden_layers, 3"
        ),
        (
            "qwen3-moe", #""num_experts_per_tok": 2"#, #""num_experts_per_tok": 9"#,
            "key 'num_experts_per_tok' is 9, should be at least 1 and at most 8, the experts of a layer"
        ),
        (
            "gpt-oss", #""num_experts_per_tok": 2"#, #""num_experts_per_tok": 0"#,
            "key 'num_experts_per_tok' is 0, should be at least 1 and at most 4, the experts of a layer"
        ),
        (
            "gemma3-text", #""query_pre_attn_scalar": 16"#, #""query_pre_attn_scalar": 0"#,
            "key 'query_pre_attn_scalar' is 0.0, should be above 0"
        ),
        (
            "phi3-longrope", "1.1,", "1.1, 1.15,",
            "key 'rope_scaling.short_factor' has 7 numbers, should have 6, one for each pair of a head"
        ),
    ])
    func whatAFamilyCanNotDoIsNamed(family: String, old: String, new: String, message: String) throws {
        let text = try error(of: family) { try edit($0, old, new) }
        #expect(text.contains("TARGET") && text.contains(message), "\(text)")
    }

    @Test(arguments: [
        ("[]", "TARGET/config.json: is an array, should be an object"),
        (
            #"{"architectures": "LlamaForCausalLM"}"#,
            "TARGET/config.json: key 'architectures' is a string, should be an array"
        ),
        (#"{"text_config": 3}"#, "TARGET/config.json: key 'text_config' is an integer, should be an object"),
    ])
    func aConfigurationOfAnotherFormIsNamed(contents: String, message: String) throws {
        #expect(try error { try writeFile("\($0)/config.json", contents.utf8) } == message)
    }

    /// Also by the ranks that wouldn't read it.
    @Test func aRankChecksTheTensorsOfOthersToo() throws {
        try withTemporaryDirectory { directory in
            let source = Fixtures.folder.appending(path: "targets/qwen3-moe").path
            try FileManager.default.copyItem(atPath: "\(source)/config.json", toPath: "\(directory)/config.json")
            let file = try SafetensorsFile("\(source)/model.safetensors")
            let missing = "model.layers.3.mlp.experts.7.down_proj.weight"
            let tensors = file.tensors.values.filter { $0.name != missing }
            var writer = try SafetensorsWriter(
                "\(directory)/model.safetensors",
                tensors.map { .init(name: $0.name, type: .float32, shape: $0.shape) })
            for tensor in tensors { try writer.append(tensor.floats()) }
            try writer.finish()
            let errors = try ThreadCommunicator.run(4) { communicator in
                let error = #expect(throws: WeightsError.self) {
                    try TargetModelRegistry.load(
                        directory, communicator: communicator, positions: 8, expertParallel: true)
                }
                return error?.tensor
            }
            #expect(errors == [missing, missing, missing, missing])
        }
    }

    @Test func missingAndTruncatedFilesAreNamed() throws {
        #expect(
            try error { try FileManager.default.removeItem(atPath: "\($0)/model.safetensors") }
                == "TARGET: has neither model.safetensors nor model.safetensors.index.json")
        #expect(
            try error { try FileManager.default.removeItem(atPath: "\($0)/config.json") }
                .hasPrefix("TARGET/config.json: can't open it"))
        let truncated = try error {
            let path = "\($0)/model.safetensors"
            try writeFile(path, try readFile(path).dropLast(1000))
        }
        #expect(truncated.contains("TARGET/model.safetensors: tensor") && truncated.contains("truncated"))
    }

    @Test func aTensorOfAnotherTypeIsNamed() throws {
        let text = try error { directory in
            let path = "\(directory)/model.safetensors"
            let bytes = try readFile(path)
            let count = 8 + Int(bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
            let header = String(decoding: bytes[8..<count], as: UTF8.self)
            let name = #""model.layers.2.mlp.up_proj.weight":{"dtype":"F32""#
            #expect(header.contains(name))
            let changed = header.replacingOccurrences(of: name, with: name.replacingOccurrences(of: "F32", with: "I32"))
            try writeFile(path, bytes[..<8] + Array(changed.utf8) + bytes[count...])
        }
        #expect(
            text == "TARGET/model.safetensors: tensor 'model.layers.2.mlp.up_proj.weight' is of type I32, should be of "
                + "floating point")
    }

    @Test func shardedDirectoriesLoadAndAMissingShardIsNamed() throws {
        try withTemporaryDirectory { directory in
            let source = try SafetensorsFile(Fixtures.folder.appending(path: "targets/llama/model.safetensors").path)
            let names = source.tensors.keys.sorted()
            var map: [(String, JSONText)] = []
            for (index, part) in [names.prefix(20), names.dropFirst(20)].enumerated() {
                let file = "model-0000\(index + 1)-of-00002.safetensors"
                let tensors = try part.map { try source.tensor($0) }
                var writer = try SafetensorsWriter(
                    "\(directory)/\(file)", tensors.map { .init(name: $0.name, type: .float32, shape: $0.shape) })
                for tensor in tensors { try writer.append(tensor.floats()) }
                try writer.finish()
                map += part.map { ($0, .string(file)) }
            }
            let index = "\(directory)/model.safetensors.index.json"
            try writeFile(index, JSONText.object([("weight_map", .object(map))]).pretty.utf8)
            let weights = try WeightDirectory(directory)
            #expect(weights.names == names)
            for name in names { #expect(try weights.tensor(name).floats() == source.tensor(name).floats()) }
            try FileManager.default.removeItem(atPath: "\(directory)/model-00002-of-00002.safetensors")
            let error = #expect(throws: FileError.self) { try WeightDirectory(directory) }
            #expect("\(try #require(error))".contains("model-00002-of-00002.safetensors: can't open it"))
        }
    }

    @Test func aWorldThatTheTensorParallelSizeDoesNotDivideIsRefused() throws {
        for (ranks, tpSize) in [(1, 2), (4, 3), (2, 0)] {
            #expect(throws: OptionsError.self) {
                _ = try ThreadCommunicator.run(ranks) { _ = try ProcessGrid(world: $0, tpSize: tpSize) }
            }
        }
    }

    @Test func moreRanksThanHeadsAreRefused() throws {
        let directory = Fixtures.folder.appending(path: "targets/llama").path
        #expect(throws: OptionsError.self) {
            _ = try ThreadCommunicator.run(5) {
                _ = try TargetModelRegistry.load(directory, communicator: $0, positions: 8)
            }
        }
    }
}
