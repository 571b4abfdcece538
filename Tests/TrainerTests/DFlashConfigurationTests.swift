import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

struct DFlashConfigurationTests {
    private static func target(_ name: String = "llama") throws -> ModelConfiguration {
        try ModelConfiguration(directory: Fixtures.folder.appending(path: "targets/\(name)").path)
    }

    /// What training generates, with keys of its own in place of those generated.
    private static func read(_ changes: [(String, JSONText?)], options: [(String, JSONText?)] = []) throws
        -> DFlashConfiguration
    {
        let target = try target()
        func changed(_ members: [(String, JSONText)], _ changes: [(String, JSONText?)]) -> [(String, JSONText)] {
            members.filter { member in !changes.contains { $0.0 == member.0 } }
                + changes.compactMap { key, value in value.map { (key, $0) } }
        }
        guard
            case .object(let members) = try DFlashConfiguration.generated(
                "DFlashDraftModel", target: target, draftVocabSize: 96
            ).json, case .object(let own)? = members.first(where: { $0.0 == "dflash_config" })?.1
        else { preconditionFailure("a configuration that is no object") }
        let all = changed(
            changed(members, [("dflash_config", .object(changed(own, options)))]), changes)
        let file = try JSONFile(contents: Array(JSONText.object(all).compact.utf8), path: "draft.json")
        let configuration = try DraftRegistry.standard.configuration(file, target: target)
        return try #require(configuration as? DFlashConfiguration)
    }

    @Test(arguments: ["llama", "qwen3", "gpt-oss", "phi3"])
    func itIsGeneratedForATargetAndReadAgain(name: String) throws {
        let target = try Self.target(name)
        let made = try DraftRegistry.standard.generated("DFlashDraftModel", target: target, draftVocabSize: nil)
        let own = try #require(made as? DFlashConfiguration)
        #expect(own.shape.hiddenSize == target.hiddenSize && own.shape.draftVocabSize == target.vocabSize)
        #expect(own.shape.numHiddenLayers == 2 && own.shape.blockSize == 8 && own.shape.draftedTokens == 7)
        #expect(own.targetLayers.allSatisfy { $0 < target.numHiddenLayers - 1 } && !own.targetLayers.isEmpty)
        let text = Array(own.json.pretty.utf8)
        let again = try DraftRegistry.standard.configuration(
            JSONFile(contents: text, path: "again.json"), target: target)
        #expect((again as? DFlashConfiguration)?.shape == own.shape && again.targetLayers == own.targetLayers)
    }

    @Test(arguments: [
        (1, [0]), (2, [0]), (3, [1]), (4, [1]), (5, [1, 2]), (6, [1, 2, 3]), (30, [1, 8, 14, 21, 27]),
        (36, [1, 9, 17, 25, 33]),
    ])
    func featuresAreOfLayersEvenlyApart(layers: Int, wanted: [Int]) {
        #expect(DFlashConfiguration.defaultTargetLayers(layers) == wanted)
    }

    @Test func whatLayersSeeIsReadAsEnginesReadIt() throws {
        let types = JSONText.array([.string("sliding_attention"), .string("full_attention")])
        let mixed = try Self.read([("layer_types", types), ("sliding_window", .int(16))])
        #expect(mixed.shape.spans == [BlockShape.Span(window: 16, isCausal: true), BlockShape.Span()])
        #expect(mixed.lackingOptions(of: .vllm) == ["layer_types"])
        let both = try Self.read(
            [("layer_types", types), ("sliding_window", .int(16))], options: [("causal", .bool(false))])
        #expect(both.shape.spans == [BlockShape.Span(window: 16), BlockShape.Span()])
        let causal = try Self.read([("is_causal", .bool(true))])
        #expect(causal.shape.spans == [BlockShape.Span(isCausal: true), BlockShape.Span(isCausal: true)])
        #expect(causal.lackingOptions(of: .sglang) == ["draft_vocab_size", "causal"])
    }

    @Test func optionsMayStandBesideOneAnother() throws {
        let flat = try Self.read([
            ("dflash_config", nil), ("target_layer_ids", .array([.int(0), .int(3)])), ("mask_token_id", .int(9)),
            ("sample_from_anchor", .bool(true)), ("markov_rank", .int(0)), ("draft_vocab_size", nil),
        ])
        #expect(flat.targetLayers == [0, 3] && flat.shape.maskToken == 9 && flat.shape.draftedTokens == 8)
        #expect(!flat.shape.hasOwnHead && flat.lackingOptions(of: .vllm) == ["sample_from_anchor"])
    }

    @Test(arguments: [
        ("block_size", "1"), ("block_size", "65"), ("draft_vocab_size", "0"), ("draft_vocab_size", "100000"),
        ("hidden_size", "48"), ("vocab_size", "300"), ("num_target_layers", "7"), ("hidden_act", "\"gelu\""),
        ("attention_bias", "true"), ("tie_word_embeddings", "true"), ("markov_rank", "-1"),
        ("markov_head_type", "\"gated\""), ("layer_types", "[\"full_attention\"]"),
        ("layer_types", "[\"full_attention\", \"linear_attention\"]"), ("block_size", "\"eight\""),
        ("dflash_config", "{\"mask_token_id\": 256, \"target_layer_ids\": [1]}"),
        ("dflash_config", "{\"mask_token_id\": -1, \"target_layer_ids\": [1]}"),
        ("dflash_config", "{\"mask_token_id\": 3, \"target_layer_ids\": [5]}"),
        ("dflash_config", "{\"mask_token_id\": 3, \"target_layer_ids\": [2, 2]}"),
        ("dflash_config", "{\"mask_token_id\": 3, \"target_layer_ids\": []}"),
        ("dflash_config", "{\"target_layer_ids\": [1]}"), ("dflash_config", "[]"),
    ])
    func whatDoesNotFitIsRefusedByItsKey(key: String, value: String) throws {
        let text = "{\"v\": \(value)}"
        let node = try JSONFile(contents: Array(text.utf8), path: "value").root.required("v")
        let error = #expect(throws: JSONError.self) { try Self.read([(key, JSONText(node.value))]) }
        #expect(error.map { "\($0)".contains(key) } == true, "\(String(describing: error))")
    }

    @Test func aDSparkDraftHasItsHeads() throws {
        let target = try Self.target()
        let generated = try DFlashConfiguration.generated(
            DFlashConfiguration.dsparkArchitecture, target: target, draftVocabSize: 96)
        let shape = generated.shape
        #expect(shape.anchorFirst && shape.draftedTokens == 7 && shape.markovRank == 32)
        #expect(shape.confidence == .hiddenAndToken && generated.method == "dspark")
        #expect(generated.lackingOptions(of: .llamaCpp).isEmpty && generated.lackingOptions(of: .vllm).isEmpty)
        #expect(generated.lackingOptions(of: .openVINO).contains("markov_rank"))
        for engine in [InferenceEngine.vllm, .sglang] {
            let warning = try #require(engine.condition(generated))
            #expect(warning.contains(engine.name) && warning.contains("DSpark drafts on GPUs alone"))
            #expect(warning.contains(InferenceEngine.llamaCpp.name), "who does on CPUs")
        }
        #expect(InferenceEngine.llamaCpp.condition(generated) == nil)
        let plainest = try DFlashConfiguration.generated("DFlashDraftModel", target: target, draftVocabSize: 96)
        #expect(InferenceEngine.vllm.condition(plainest) == nil && InferenceEngine.sglang.condition(plainest) != nil)
        let hidden = try Self.read([
            ("markov_rank", .int(4)), ("enable_confidence_head", .bool(true)),
            ("confidence_head_with_markov", .bool(false)),
        ])
        #expect(hidden.shape.confidence == .hidden && hidden.shape.markovRank == 4)
        #expect(hidden.lackingOptions(of: .llamaCpp) == ["confidence_head_with_markov"])
        let plain = try Self.read([("enable_confidence_head", .bool(true))])
        #expect(plain.shape.confidence == .hidden && plain.shape.markovRank == 0)
        #expect(throws: JSONError.self) {
            try Self.read([("enable_confidence_head", .bool(true)), ("confidence_head_with_markov", .bool(true))])
        }
    }

    @Test func optionsOfOtherLossesAreRefused() throws {
        let configuration = try Self.read([])
        for (settings, named) in [
            (DraftSettings(positions: 8, startsFromRandomHead: true), "--lm-head-init"),
            (DraftSettings(positions: 8, objective: .alpha), "--lk-loss-type"),
        ] {
            let error = #expect(throws: JSONError.self) {
                try configuration.makeDraft(DFlashOptions(), settings, .test)
            }
            #expect(error.map { "\($0)".contains(named) } == true)
        }
    }
}
