import Foundation
import TestSupport
import Testing

@testable import Shared

/// Whatever a model's configuration holds, it is refused by its file's name or read as numbers that make sense.
struct ConfigurationFuzzTests {
    private static let words = [
        "NaN", "Infinity", "-Infinity", "1e400", "-1e-400", "16777217", "9223372036854775807", "-9223372036854775808",
        "4611686018427387904", "1.5", "\"yarn\"", "\"llama3\"", "{\"rope_type\": \"linear\", \"factor\": 0}",
        "{\"full_attention\": {}, \"sliding_attention\": {\"rope_theta\": 1e4}}", "[\"LlamaForCausalLM\"]",
    ]

    /// What every reader may rely on.
    private static func expectSense(_ configuration: ModelConfiguration) {
        let sizes = [
            configuration.hiddenSize, configuration.intermediateSize, configuration.numHiddenLayers,
            configuration.numAttentionHeads, configuration.numKeyValueHeads, configuration.headDim,
        ]
        #expect(sizes.allSatisfy { 1..<1 << 31 ~= $0 }, "\(sizes)")
        #expect(ModelConfiguration.vocabSizes.contains(configuration.vocabSize))
        for rope in [configuration.rope, configuration.slidingRope] {
            #expect(rope.theta > 0 && rope.theta.isFinite)
            #expect(rope.partialRotaryFactor > 0 && rope.partialRotaryFactor <= 1)
        }
        #expect(configuration.rmsNormEpsilon >= 0 && configuration.rmsNormEpsilon.isFinite)
        #expect((configuration.eosTokenIDs + [configuration.bosTokenID ?? 0]).allSatisfy { $0 >= 0 })
    }

    private static let families = [
        "llama-rope-yarn", "gemma3-nested", "gpt-oss", "phi3-longrope", "qwen3-moe", "llama4-text",
    ]

    @Test(arguments: families)
    func aConfigurationMakesSenseOrIsRefused(family: String) throws {
        let path = Fixtures.folder.appending(path: "targets/\(family)/config.json").path(percentEncoded: false)
        let sound = try readFile(path)
        let mutator = Mutator(words: Self.words)
        var (read, refused) = (0, 0)
        try Fuzzing("config-\(family)", iterations: 600).run { generator in
            let damaged = mutator.mutate(sound, using: &generator)
            do {
                let file = try JSONFile(contents: damaged, path: "config.json")
                Self.expectSense(try ModelConfiguration(file))
                #expect(try ModelConfiguration.endTokens(file, file).allSatisfy { $0 >= 0 })
                read += 1
            } catch let error as JSONError {
                #expect(error.location.hasPrefix("config.json"), "\(error)")
                refused += 1
            }
        }
        #expect(read > 0 && refused > 0)
    }

    /// Keys that nobody reads may hold what Python writes; a key that is read names its value.
    @Test(arguments: ["NaN", "Infinity", "-Infinity", "1e999"])
    func whatIsNotFiniteCountsOnlyWhereItIsRead(value: String) throws {
        let path = Fixtures.folder.appending(path: "targets/llama/config.json").path(percentEncoded: false)
        let sound = String(decoding: try readFile(path), as: UTF8.self)
        func read(_ key: String) throws -> ModelConfiguration {
            let text = sound.replacing(#/^\s*\{/#, with: "{\"\(key)\": \(value), ").replacing(
                #/,\s*"(rms_norm_eps|initializer_range)": *[^,}]+/#, with: "")
            return try ModelConfiguration(JSONFile(contents: Array(text.utf8), path: "config.json"))
        }
        Self.expectSense(try read("attention_dropout"))
        for key in ["rms_norm_eps", "initializer_range"] {
            let error = #expect(throws: JSONError.self) { try read(key) }
            #expect(error?.description == "config.json: key '\(key)' is not a finite number")
        }
    }

    /// A GGUF file's metadata as a configuration, damaged in its bytes.
    @Test(arguments: ["llama", "llama4", "deepseek2"])
    func aGGUFFilesMetadataMakesSenseOrIsRefused(architecture: String) throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("model.gguf")
        var keys: [(String, GGUFValue)] = [
            ("embedding_length", .int(64)), ("block_count", .int(2)), ("feed_forward_length", .int(96)),
            ("attention.head_count", .int(4)), ("attention.head_count_kv", .int(2)), ("context_length", .int(128)),
            ("attention.layer_norm_rms_epsilon", .double(1e-5)), ("rope.freq_base", .double(10_000)),
        ]
        if architecture != "llama" {
            keys += [
                ("expert_count", .int(4)), ("expert_used_count", .int(2)), ("expert_feed_forward_length", .int(32)),
                ("interleave_moe_layer_step", .int(2)), ("rope.dimension_count", .int(16)),
                ("attention.key_length", .int(16)),
            ]
        }
        if architecture == "deepseek2" {
            keys += [
                ("attention.kv_lora_rank", .int(32)), ("attention.key_length_mla", .int(48)),
                ("attention.value_length_mla", .int(32)), ("expert_shared_count", .int(1)),
                ("expert_gating_func", .int(2)), ("leading_dense_block_count", .int(1)),
                ("nextn_predict_layers", .int(1)),
            ]
        }
        try GGUFWriter.write(
            path,
            [("general.architecture", .string(architecture)), ("general.alignment", .int(32))]
                + keys.map { ("\(architecture).\($0)", $1) } + [("tokenizer.ggml.eos_token_id", .int(2))],
            tensors: [("token_embd.weight", [8, 64])])
        let sound = try readFile(path)
        let mutator = Mutator(words: ["\u{7f}\u{ff}\u{ff}\u{ff}", "qwen3", "llama.rope.scaling.type"])
        var (read, refused) = (0, 0)
        try Fuzzing("gguf-metadata", iterations: 600).run { generator in
            try writeFile(path, mutator.mutate(sound, using: &generator))
            do {
                Self.expectSense(try ModelConfiguration(directory: path))
                read += 1
            } catch {
                #expect("\(error)".contains("model.gguf"), "\(error)")
                refused += 1
            }
        }
        #expect(read > 0 && refused > 0)
    }

    @Test(arguments: [0, -1, Int.max, Int.min, 1 << 20 + 1])
    func anAlignmentThatNoFileHasIsRefused(alignment: Int) throws {
        let scratch = try ScratchDirectory()
        let path = scratch.file("model.gguf")
        try GGUFWriter.write(path, [("general.alignment", .int(alignment))])
        let error = #expect(throws: WeightsError.self) { try GGUFFile(path) }
        #expect(error.map { "\($0)".contains("alignment of \(alignment)") } == true)
    }
}
