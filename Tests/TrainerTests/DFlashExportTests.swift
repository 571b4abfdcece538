import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// A DFlash draft in other forms is the draft that was trained.
struct DFlashExportTests {
    private static let target = Fixtures.folder.appending(path: "targets/llama").path

    /// Saves a draft of random weights.
    private static func withDraft(
        draftVocabSize: Int, changes: [(String, JSONText)] = [],
        _ body: (_ directory: String, _ weights: [String: [Float]], _ scratch: String) throws -> Void
    ) throws {
        let target = try ModelConfiguration(directory: target)
        var json = try DFlashConfiguration.generated(
            "DFlashDraftModel", target: target, draftVocabSize: draftVocabSize
        ).json
        for (key, value) in changes { json = json.setting(key, value) }
        let configuration = try DFlashConfiguration(
            JSONFile(contents: Array(json.compact.utf8), path: "draft.json"), target: target)
        let draft = try configuration.makeDraft(BlockTraining(), positions: 8, .test)
        draft.parameters.fillRandomly(seed: 9)
        let counts = (0..<UInt64(target.vocabSize)).map { ($0 * 7919) % 251 }
        try withSavedDraft(
            configuration, draft.parameters,
            .derive(counts: counts, draftVocabSize: draftVocabSize, always: []), type: .float32
        ) { directory in
            let weights = draft.parameters.tensors.map { ($0.name, $0.values.elements) }
            try body("\(directory)/step_1", Dictionary(uniqueKeysWithValues: weights), directory)
        }
    }

    /// The target as a GGUF file with tokens, of which one is a mask of its own.
    private static func targetWithTokens(_ directory: String) throws -> String {
        for name in ["config.json", "model.safetensors"] {
            try FileManager.default.copyItem(atPath: "\(target)/\(name)", toPath: "\(directory)/\(name)")
        }
        let vocabulary = JSONText.object((0..<250).map { ("t\($0)", .int($0)) })
        let model = JSONText.object([("type", .string("BPE")), ("vocab", vocabulary), ("merges", .array([]))])
        let tokenizer = JSONText.object([("added_tokens", .array([])), ("model", model)])
        try writeFile("\(directory)/tokenizer.json", tokenizer.pretty.utf8)
        return directory
    }

    @Test(arguments: [96, 256])
    func aGGUFFileHasTheWeightsAndTheKeysThatLlamaCppReads(draftVocabSize: Int) throws {
        try withTemporaryDirectory { folder in
            let target = try Self.targetWithTokens(folder)
            try Self.withDraft(draftVocabSize: draftVocabSize) { draft, weights, scratch in
                let path = "\(scratch)/dflash-llama.gguf"
                let export = try DraftExport(draft, targetPath: target)
                try GGUFDraft(export, .float32).write(to: path, name: "dflash-llama") { _ in }
                let file = try GGUFFile(path)
                #expect(file.metadata["general.architecture"]?.string == "dflash")
                // Of the target's layers 1, 2 and 3 of six, what the next ones are given.
                #expect(file.metadata["dflash.target_layers"]?.array?.compactMap(\.int) == [2, 3, 4])
                for (key, value) in [
                    ("block_count", 2), ("embedding_length", 32), ("attention.head_count", 4),
                    ("attention.head_count_kv", 2), ("attention.key_length", 8), ("attention.value_length", 8),
                    ("block_size", 8),
                ] { #expect(file.metadata["dflash.\(key)"]?.int == value, "\(key)") }
                #expect(file.metadata["dflash.attention.causal"] == nil)
                #expect(file.tokenID("mask") == 255)
                var found = 0
                for (name, stored) in [
                    ("fc.weight", "fc.weight"), ("hidden_norm.weight", "enc.output_norm.weight"),
                    ("norm.weight", "output_norm.weight"), ("lm_head.weight", "output.weight"),
                    ("layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight"),
                    ("layers.0.self_attn.k_norm.weight", "blk.0.attn_k_norm.weight"),
                    ("layers.1.self_attn.k_proj.weight", "blk.1.attn_k.weight"),
                    ("layers.1.post_attention_layernorm.weight", "blk.1.ffn_norm.weight"),
                    ("layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight"),
                ] {
                    guard let wanted = weights[name] else { continue }
                    found += 1
                    #expect(try #require(file.tensors[stored]).floats() == wanted, "\(name)")
                }
                let isMapped = draftVocabSize < 256
                #expect(found == (isMapped ? 9 : 8) && (file.tensors["output.weight"] != nil) == isMapped)
                #expect(file.tensors.count == weights.count + (isMapped ? 1 : 0))
                if isMapped {
                    let ids = try #require(file.tensors["d2t"])
                    #expect(try ids.type == .int64 && ids.integers() == export.saved.draftToTarget.map(Int.init))
                }
            }
        }
    }

    @Test(arguments: [96, 256])
    func aHuggingFaceDirectoryReadsBackAsTheDraft(draftVocabSize: Int) throws {
        try Self.withDraft(draftVocabSize: draftVocabSize) { draft, weights, scratch in
            let path = "\(scratch)/exported"
            try CheckpointExport(DraftExport(draft, targetPath: Self.target), .float32).write(to: path) { _ in }
            let target = try ModelConfiguration(directory: Self.target)
            let (before, after) = (try SavedDraft(draft, target: target), try SavedDraft(path, target: target))
            #expect(before.draftToTarget == after.draftToTarget)
            let loaded = try after.configuration.makeDraft([], DraftSettings(positions: 8), .test)
            try after.load(into: loaded.parameters, targetPath: Self.target)
            #expect(loaded.parameters.tensors.count == weights.count)
            for tensor in loaded.parameters.tensors {
                #expect(tensor.values.elements == weights[tensor.name], "\(tensor.name)")
            }
            let names = try Set(SafetensorsFile("\(path)/model.safetensors").tensors.keys)
            #expect(names.contains("d2t") == (draftVocabSize < 256))
            #expect(names.contains("lm_head.weight") == (draftVocabSize < 256))
            #expect(!names.contains("embed_tokens.weight"))
        }
    }

    @Test func theHeadsOfADSparkDraftAreWhereLlamaCppReadsThem() throws {
        try withTemporaryDirectory { folder in
            let target = try Self.targetWithTokens(folder)
            let heads: [(String, JSONText)] = [
                ("markov_rank", .int(6)), ("enable_confidence_head", .bool(true)),
                ("confidence_head_with_markov", .bool(true)), ("sample_from_anchor", .bool(true)),
            ]
            let own = JSONText.object([("target_layer_ids", .array([.int(1)])), ("mask_token_id", .int(3))])
            try Self.withDraft(draftVocabSize: 96, changes: heads + [("dflash_config", own)]) {
                draft, weights, scratch in
                let path = "\(scratch)/dspark.gguf"
                try GGUFDraft(DraftExport(draft, targetPath: target), .float32).write(to: path, name: "dspark") { _ in }
                let file = try GGUFFile(path)
                #expect(file.metadata["general.architecture"]?.string == "dflash")
                #expect(file.metadata["dflash.has_confidence_head"]?.bool == true)
                #expect(file.metadata["dflash.sample_from_anchor"]?.bool == true && file.tokenID("mask") == 3)
                for (name, stored) in [
                    ("markov_head.markov_w1.weight", "markov_w1.weight"),
                    ("markov_head.markov_w2.weight", "markov_w2.weight"),
                    ("confidence_head.proj.weight", "conf_proj.weight"),
                    ("confidence_head.proj.bias", "conf_proj.bias"),
                ] { #expect(try #require(file.tensors[stored]).floats() == weights[name], "\(name)") }
                #expect(file.tensors.count == weights.count + 1)
            }
        }
    }

    @Test func whatLlamaCppComputesInAnotherWayIsRefused() throws {
        let own = JSONText.object([
            ("target_layer_ids", .array([.int(1)])), ("mask_token_id", .int(3)), ("sample_from_anchor", .bool(true)),
        ])
        try Self.withDraft(draftVocabSize: 96, changes: [("dflash_config", own)]) { draft, _, _ in
            let error = #expect(throws: DraftNotServed.self) {
                try GGUFDraft(DraftExport(draft, targetPath: Self.target), .bfloat16)
            }
            #expect(error.map { "\($0)".contains("sample_from_anchor") } == true)
        }
        let scaled = JSONText.object([("rope_type", .string("linear")), ("factor", .int(2))])
        try Self.withDraft(draftVocabSize: 96, changes: [("rope_scaling", scaled)]) { draft, _, _ in
            #expect(throws: JSONError.self) {
                try GGUFDraft(DraftExport(draft, targetPath: Self.target), .bfloat16)
            }
        }
    }
}
