import Foundation
import Shared
import TestSupport
import Testing

@testable import Trainer

/// Drafts in the forms in which they are published load as what they are, or are refused for what they are.
struct PublishedDraftTests {
    private static let targetPath = Fixtures.folder.appending(path: "targets/llama").path
    private static func target() throws -> ModelConfiguration { try ModelConfiguration(directory: targetPath) }

    /// The one draft that all forms are of: its tensors by Eyrie's names, float32, and its configuration.
    private struct Draft {
        var json: JSONText
        var tensors: [(name: String, shape: [Int], values: [Float])] = []
        var mapping: [Int64]?
        var marks: [UInt8]?
        let ids = (0..<96).map { Int32($0 * 2 + 10) }

        init() throws {
            let configuration = try Eagle3Configuration(target: PublishedDraftTests.target(), draftVocabSize: 96)
            let draft = try configuration.makeDraft(positions: 8)
            draft.parameters.fillRandomly(seed: 5)
            json = configuration.json
            tensors = draft.parameters.tensors.map { ($0.name, $0.shape, $0.values.elements) }
            mapping = ids.enumerated().map { Int64($1) - Int64($0) }
            marks = (0..<256).map { ids.contains($0) ? 1 : 0 }
        }

        mutating func rename(_ change: (String) -> String) {
            tensors = tensors.map { (change($0.name), $0.shape, $0.values) }
        }

        mutating func set(_ key: String, _ value: JSONText) { json = json.setting(key, value) }

        mutating func remove(_ keys: String...) {
            guard case .object(let members) = json else { return }
            json = .object(members.filter { !keys.contains($0.0) })
        }

        func write(_ directory: String, shards: Int = 1) throws {
            try writeFile("\(directory)/config.json", json.pretty.utf8)
            var names: [(String, JSONText)] = []
            for shard in 0..<shards {
                let file = shards == 1 ? "model.safetensors" : "model-0000\(shard + 1)-of-0000\(shards).safetensors"
                let own = tensors.enumerated().filter { $0.offset % shards == shard }.map(\.element)
                var entries = own.map { SafetensorsWriter.Entry(name: $0.name, type: .float32, shape: $0.shape) }
                if shard == 0, let mapping { entries.append(.init(name: "d2t", type: .int64, shape: [mapping.count])) }
                if shard == 0, let marks { entries.append(.init(name: "t2d", type: .bool, shape: [marks.count])) }
                var writer = try SafetensorsWriter("\(directory)/\(file)", entries)
                for tensor in own { try tensor.values.withUnsafeBufferPointer { try writer.append($0) } }
                if shard == 0, let mapping { try writer.append(mapping) }
                if shard == 0, let marks { try writer.append(marks) }
                try writer.finish()
                names += entries.map { ($0.name, .string(file)) }
            }
            if shards > 1 {
                let index = JSONText.object([("metadata", .object([])), ("weight_map", .object(names))])
                try writeFile("\(directory)/model.safetensors.index.json", index.pretty.utf8)
            }
        }
    }

    /// Each makes a published form of the draft.
    private static let forms: [String: @Sendable (inout Draft) -> Void] = [
        "as Eyrie writes it": { _ in },
        "EAGLE's own architecture": { $0.set("architectures", .array([.string("LlamaForCausalLM")])) },
        "AngelSlim's architecture": { $0.set("architectures", .array([.string("Eagle3LlamaForCausalLM")])) },
        "layers.0 for midlayer": { $0.rename { $0.replacing("midlayer.", with: "layers.0.") } },
        "below model.": { $0.rename { "model.\($0)" } },
        "the target's number of layers": { $0.set("num_hidden_layers", .int(40)) },
        "tied by its configuration": { $0.set("tie_word_embeddings", .bool(true)) },
        "no draft_vocab_size": { $0.remove("draft_vocab_size") },
        "draft_vocab_size null": { $0.set("draft_vocab_size", .null) },
        "ids in d2t": { $0.mapping = $0.ids.map(Int64.init) },
        "with the target's embedding": {
            $0.tensors.append(("embed_tokens.weight", [256, 32], [Float](repeating: 1, count: 256 * 32)))
        },
        "ModelOpt's keys": {
            var nested = $0.json["eagle_config"] ?? .object([])
            for (key, value) in [
                ("use_input_layernorm_in_first_layer", true), ("use_last_layernorm", true),
                ("use_mtp_layernorm", false), ("next_layer_regular", true),
            ] { nested = nested.setting(key, .bool(value)) }
            $0.set("eagle_config", nested.setting("parallel_draft_step", .int(1)))
            $0.marks = nil
        },
        "nested by speculators": {
            guard case .object(let members) = $0.json else { return }
            let own = ["draft_vocab_size", "tie_word_embeddings"]
            $0.json = .object(
                members.filter { own.contains($0.0) } + [
                    ("architectures", .array([.string("Eagle3DraftModel")])),
                    ("eagle_aux_hidden_state_layer_ids", .null), ("target_hidden_size", .null),
                    ("speculators_model_type", .string("eagle3")),
                    (
                        "transformer_layer_config",
                        .object(
                            members.filter {
                                !own.contains($0.0)
                                    && !["architectures", "eagle_config", AuxiliaryLayers.key].contains($0.0)
                            })
                    ),
                ])
            $0.rename { $0.replacing("midlayer.", with: "layers.0.") }
        },
    ]

    @Test(arguments: forms.keys.sorted(), [1, 2])
    func aPublishedFormLoadsAsTheDraftThatItIs(form: String, shards: Int) throws {
        let original = try Draft()
        var draft = original
        let change = try #require(Self.forms[form])
        change(&draft)
        try withTemporaryDirectory { directory in
            try draft.write(directory, shards: shards)
            let saved = try SavedDraft(directory, target: Self.target())
            #expect(saved.draftToTarget == original.ids)
            #expect(saved.configuration.targetLayers == [1, 2, 2])
            let loaded = try saved.configuration.makeDraft(positions: 8)
            try saved.load(into: loaded.parameters, targetPath: Self.targetPath)
            for (tensor, wanted) in zip(loaded.parameters.tensors, original.tensors) {
                #expect(tensor.name == wanted.name && tensor.values.elements == wanted.values, "\(tensor.name)")
            }
            // What is saved of it is in Eyrie's own form.
            let root = try JSONFile(contents: Array(saved.configuration.json.pretty.utf8), path: "config.json").root
            #expect(try root.required("architectures").elements.first?.asString() == "LlamaForCausalLMEagle3")
            #expect(try root.int("num_hidden_layers") == 1 && root.int("draft_vocab_size") == 96)
            #expect(try root.bool("tie_word_embeddings") == false && root["transformer_layer_config"] == nil)
        }
    }

    @Test func draftTokensInAnyOrderAreSortedWithTheirRowsOfTheHead() throws {
        let original = try Draft()
        var draft = original
        let order = (0..<96).map { ($0 * 37 + 5) % 96 }
        draft.mapping = order.enumerated().map { Int64(original.ids[$1]) - Int64($0) }
        let head = try #require(draft.tensors.firstIndex { $0.name == "lm_head.weight" })
        draft.tensors[head].values = order.flatMap { original.tensors[head].values[$0 * 32..<($0 + 1) * 32] }
        try withTemporaryDirectory { directory in
            try draft.write(directory)
            let saved = try SavedDraft(directory, target: Self.target())
            #expect(saved.draftToTarget == original.ids)
            let loaded = try saved.configuration.makeDraft(positions: 8)
            try saved.load(into: loaded.parameters, targetPath: Self.targetPath)
            let values = try #require(loaded.parameters.tensors.first { $0.name == "lm_head.weight" }).values
            #expect(values.elements == original.tensors[head].values)
        }
    }

    @Test func aDraftWithoutAHeadHasTheTargetsRows() throws {
        var draft = try Draft()
        draft.tensors.removeAll { $0.name == "lm_head.weight" }
        try withTemporaryDirectory { directory in
            try draft.write(directory)
            let saved = try SavedDraft(directory, target: Self.target())
            let loaded = try saved.configuration.makeDraft(positions: 8)
            try saved.load(into: loaded.parameters, targetPath: Self.targetPath)
            let rows = try WeightDirectory(Self.targetPath).tensor("lm_head.weight").floats()
            let values = try #require(loaded.parameters.tensors.first { $0.name == "lm_head.weight" }).values
            #expect(values.elements == draft.ids.flatMap { rows[Int($0) * 32..<(Int($0) + 1) * 32] })
        }
    }

    /// Each makes a draft that can't be computed, and what the error says.
    private static let refusals: [String: (change: @Sendable (inout Draft) -> Void, message: String)] = [
        "another width": ({ $0.set("hidden_size", .int(48)) }, "needs an embedding of its own"),
        "EAGLE-1": (
            { draft in
                draft.remove("draft_vocab_size")
                draft.tensors.removeAll { $0.name == "midlayer.hidden_norm.weight" }
                draft.tensors = draft.tensors.map {
                    $0.name == "fc.weight" ? ($0.name, [32, 64], Array($0.values.prefix(2048))) : $0
                }
            }, "EAGLE-1 or 2"
        ),
        "four features": ({ $0.set("num_aux_hidden_states", .int(4)) }, "should be 3"),
        "another architecture": (
            { $0.set("architectures", .array([.string("PEagleDraftModel")])) },
            "supported: DFlashDraftModel, LlamaForCausalLMEagle3, Qwen3DSparkModel"
        ),
        "biases": ({ $0.set("attention_bias", .bool(true)) }, "attention_bias"),
        "no norm in the first layer": (
            { $0.set("eagle_config", .object([("use_input_layernorm_in_first_layer", .bool(false))])) },
            "use_input_layernorm_in_first_layer"
        ),
        "no last norm": (
            { $0.set("eagle_config", .object([("use_last_layernorm", .bool(false))])) }, "use_last_layernorm"
        ),
        "a norm of MTP": (
            { $0.set("eagle_config", .object([("use_mtp_layernorm", .bool(true))])) }, "use_mtp_layernorm"
        ),
        "several tokens at a time": (
            { $0.set("eagle_config", .object([("parallel_draft_step", .int(4))])) }, "parallel_draft_step"
        ),
        "one feature": (
            { $0.set("eagle_config", .object([("use_aux_hidden_state", .bool(false))])) }, "use_aux_hidden_state"
        ),
        "a token twice": ({ $0.mapping?[1] -= 2 }, "twice"),
        "both names of a layer": (
            { $0.tensors.append(("layers.0.hidden_norm.weight", [32], [Float](repeating: 1, count: 32))) },
            "there twice"
        ),
    ]

    @Test(arguments: refusals.keys.sorted())
    func whatCannotBeComputedIsRefusedByItsReason(form: String) throws {
        var draft = try Draft()
        let refusal = try #require(Self.refusals[form])
        refusal.change(&draft)
        try withTemporaryDirectory { directory in
            try draft.write(directory)
            let error = #expect(throws: (any Error).self) {
                let saved = try SavedDraft(directory, target: Self.target())
                let loaded = try saved.configuration.makeDraft(positions: 8)
                try saved.load(into: loaded.parameters, targetPath: Self.targetPath)
            }
            #expect(error.map { "\($0)".contains(refusal.message) } == true, "\(error.map { "\($0)" } ?? "")")
        }
    }

    @Test(arguments: [
        ("pytorch_model.bin", "PK", "only pytorch_model.bin"),
        ("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "git lfs pull"),
    ])
    func filesThatAreNoSafetensorsAreNamedForWhatTheyAre(name: String, contents: String, message: String) throws {
        let draft = try Draft()
        try withTemporaryDirectory { directory in
            try writeFile("\(directory)/config.json", draft.json.pretty.utf8)
            try writeFile("\(directory)/\(name)", contents.utf8)
            let error = #expect(throws: (any Error).self) { try SavedDraft(directory, target: Self.target()) }
            #expect(error.map { "\($0)".contains(message) } == true)
        }
    }
}
