import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

struct Eagle3ConfigurationTests {
    private func target(_ name: String = "llama-rope-llama3") throws -> ModelConfiguration {
        try ModelConfiguration(directory: Fixtures.folder.appending(path: "targets/\(name)").path)
    }

    @Test func theGeneratedConfigurationHasWhatEnginesReadAndReadsBack() throws {
        let target = try target()
        let generated = try Eagle3Configuration(target: target, draftVocabSize: 96)
        let file = try JSONFile(contents: Array(generated.json.pretty.utf8), path: "config.json")
        let root = file.root
        #expect(try root.required("architectures").elements.map { try $0.asString() } == ["LlamaForCausalLMEagle3"])
        for (key, value) in [
            ("hidden_size", 32), ("target_hidden_size", 32), ("intermediate_size", 96), ("num_attention_heads", 4),
            ("num_key_value_heads", 2), ("head_dim", 8), ("num_hidden_layers", 1), ("vocab_size", 256),
            ("draft_vocab_size", 96), ("bos_token_id", 1), ("eos_token_id", 2), ("pad_token_id", 0),
        ] {
            #expect(try root.int(key) == value, "\(key)")
        }
        #expect(try root.double("rope_theta") == 500_000)
        #expect(try root.required("rope_scaling").string("rope_type") == "llama3")
        #expect(try root.bool("tie_word_embeddings") == false)
        let layers = try root.required("eagle_config").required("eagle_aux_hidden_state_layer_ids").elements
        #expect(try layers.map { try $0.asInt() } == [1, 2, 2])
        // At the top level the key means the layers' inputs.
        let inputs = try root.required("eagle_aux_hidden_state_layer_ids").elements
        #expect(try inputs.map { try $0.asInt() } == [2, 3, 3])
        let read = try Eagle3Configuration(file, target: target)
        #expect(read.shape == generated.shape && read.targetLayers == generated.targetLayers)
        #expect(read.json == generated.json)
    }

    @Test(arguments: [(30, [1, 14, 26]), (32, [1, 15, 28]), (6, [1, 2, 2]), (4, [1, 1, 0]), (1, [0, 0, 0])])
    func targetLayersFollowTheNumberOfLayers(count: Int, layers: [Int]) {
        #expect(AuxiliaryLayers(ofLayers: count).outputs == layers)
    }

    @Test(arguments: DraftVariant.allCases)
    func everyFormOfDraftIsReadFromItsKeys(variant: DraftVariant) throws {
        let plain = try Eagle3Configuration(target: target(), draftVocabSize: 96)
        let configuration = try variant.configuration(target: target(), draftVocabSize: 96)
        #expect(configuration.shape == variant.applied(to: plain.shape))
        // All of it is named in a checkpoint, each tensor once, and first weights are the same every time.
        let drafts = try (0..<2).map { _ in try configuration.makeDraft(positions: 8) }
        for draft in drafts { draft.initialize(seed: 4) }
        let names = drafts[0].parameters.tensors.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(names.contains("fc_norm.2.weight") == configuration.shape.fcNorm)
        #expect(names.contains("input_norm.weight") == configuration.shape.normBeforeFC)
        #expect(names.contains("layers.1.mlp.down_proj.weight") == (configuration.shape.numHiddenLayers > 1))
        #expect(drafts[0].parameters.digest == drafts[1].parameters.digest)
        withExtendedLifetime(drafts) {
            for parameter in drafts[0].parameters.parameters {
                #expect((parameter.weight.rows == 1) == parameter.weight.elements.allSatisfy { $0 == 1 })
            }
        }
    }

    @Test func theDraftVocabularyIsAtMostTheTargets() throws {
        #expect(try Eagle3Configuration(target: target()).shape.draftVocabSize == 256)
    }

    @Test(arguments: [
        ("hidden_size", "64", "should be the target's 32"), ("vocab_size", "300", "should be the target's 256"),
        ("draft_vocab_size", "257", "should be between 1 and vocab_size, 256"),
        ("num_hidden_layers", "0", "should be"), ("fc_norm", "1", "true or false"),
        ("use_aux_norm", "true", "isn't supported"), ("tie_word_embeddings", "true", "isn't supported"),
        ("attention_bias", "true", "isn't supported"), ("num_aux_hidden_states", "2", "should be 3"),
        ("eagle_config", #"{"norm_before_fc": true}"#, "belongs beside eagle_config"),
        ("hidden_act", "\"gelu\"", "supported is silu"),
        ("architectures", "[\"Other\"]", "supported: DFlashDraftModel, LlamaForCausalLMEagle3, Qwen3DSparkModel"),
        ("eagle_config", #"{"eagle_aux_hidden_state_layer_ids": [1, 2]}"#, "should be three layers"),
        ("eagle_config", #"{"eagle_aux_hidden_state_layer_ids": [1, 2, 6]}"#, "should be three layers"),
    ])
    func aConfigurationThatCannotBeIsRefusedByItsKey(key: String, value: String, message: String) throws {
        let target = try target()
        guard case .object(var members) = try Eagle3Configuration(target: target, draftVocabSize: 96).json else {
            Issue.record("the configuration is no object")
            return
        }
        members.removeAll { $0.0 == key || $0.0 == AuxiliaryLayers.key }
        let rest = JSONText.object(members).compact.dropLast()
        let text = "\(rest), \"\(key)\": \(value)}"
        let file = try JSONFile(contents: Array(text.utf8), path: "draft.json")
        let error = #expect(throws: JSONError.self) { try DraftRegistry.standard.configuration(file, target: target) }
        let description = "\(try #require(error))"
        let named =
            key == "eagle_config" ? value.contains("norm") ? "norm_before_fc" : "eagle_aux_hidden_state_layer_ids" : key
        #expect(description.contains("draft.json") && description.contains(named) && description.contains(message))
    }
}
