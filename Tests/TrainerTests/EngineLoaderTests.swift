import Shared
import TestSupport
import Testing

@testable import Trainer

/// What inference engines make of a checkpoint's tensors: each loader's rules, written again from its documentation, which find what it would drop.
struct EngineLoaderTests {
    @Test(arguments: DraftVariant.allCases, InferenceEngine.allCases)
    func anEngineThatHasAllOptionsLoadsEveryTensor(variant: DraftVariant, engine: InferenceEngine) throws {
        try withCheckpoint(variant, draftVocabSize: 96) { file, root, configuration in
            let outcome = try EngineLoader(engine, root).load(file)
            let lacking = configuration.lackingOptions(of: engine)
            let isWhole = outcome.missing.isEmpty && outcome.refused.isEmpty
            #expect(isWhole == lacking.allSatisfy(Self.isComputedOnly), "\(outcome)")
        }
    }

    /// Options without a tensor of their own: an engine without them loads the draft and computes another one.
    private static func isComputedOnly(_ option: String) -> Bool {
        ["norm_output", "norm_before_residual"].contains(option)
    }

    // vLLM has no mapping for a draft of the whole vocabulary, and refuses a checkpoint that does.
    @Test(arguments: InferenceEngine.allCases)
    func aDraftOfTheWholeVocabularyHasNoMapping(engine: InferenceEngine) throws {
        try withCheckpoint(.plain, draftVocabSize: 256) { file, root, configuration in
            let outcome = try EngineLoader(engine, root).load(file)
            #expect(outcome.missing.isEmpty && outcome.refused.isEmpty)
            #expect(file.tensors["d2t"] == nil && file.tensors["t2d"] == nil)
            let directory = String(file.path.dropLast("/model.safetensors".count))
            #expect(try configuration.targetIDs(PublishedDraft(directory)) == (0..<256).map { Int32($0) })
        }
    }

    /// vLLM and SGLang read every `*.safetensors` of a directory that its index, if there is one, names.
    @Test(arguments: [96, 256])
    func enginesReadNothingButTheDraftOfACheckpoint(draftVocabSize: Int) throws {
        try withCheckpoint(.plain, draftVocabSize: draftVocabSize) { file, _, _ in
            let directory = String(file.path.dropLast("/model.safetensors".count))
            let all = try listDirectory(directory).filter { $0.hasSuffix(".safetensors") }
            let index = "\(directory)/model.safetensors.index.json"
            let map = fileExists(index) ? try JSONFile(index).root.required("weight_map").members : []
            let named = try Dictionary(map.map { ($0.0, try $0.1.asString()) }) { first, _ in first }
            #expect(all.filter { named.isEmpty || named.values.contains($0) } == ["model.safetensors"], "of \(all)")
            #expect(Set(named.keys) == Set(file.tensors.keys))
            let sizes = try named.keys.map { try file.tensor($0).bytes.count }
            let size = try JSONFile(index).root.required("metadata").required("total_size").asInt()
            #expect(size == sizes.reduce(0, +))
        }
    }

    @Test func theEmulatorsFindWhatIsDropped() throws {
        try withCheckpoint(.twoLayers, draftVocabSize: 96) { file, root, _ in
            let loader = EngineLoader(.sglang, root)
            let names = file.tensors.keys.map { $0.replacing("layers.1.", with: "additional_layers.0.") }
            let outcome = loader.outcome(names.map { ($0, nil) })
            #expect(outcome.refused.contains("additional_layers.0.mlp.down_proj.weight"))
            #expect(outcome.missing.contains("layers.1.mlp.down_proj.weight"))
        }
    }

    private func withCheckpoint(
        _ variant: DraftVariant, draftVocabSize: Int,
        _ body: (SafetensorsFile, JSONNode, Eagle3Configuration) throws -> Void
    ) throws {
        let target = try ModelConfiguration(directory: Fixtures.folder.appending(path: "targets/llama").path)
        let configuration = try variant.configuration(target: target, draftVocabSize: draftVocabSize)
        let draft = try configuration.makeDraft(positions: 8)
        draft.initialize(seed: 1)
        let counts = (0..<UInt64(target.vocabSize)).map { $0 }
        try withSavedDraft(
            configuration, draft.parameters, .derive(counts: counts, draftVocabSize: draftVocabSize, always: [])
        ) { directory in
            try body(
                SafetensorsFile("\(directory)/latest/model.safetensors"),
                JSONFile("\(directory)/latest/config.json").root, configuration)
        }
    }
}

/// The rules by which an engine finds a place for each tensor, from its sources: those of `InferenceEngine.version`, of
/// llama.cpp its converter and of OpenVINO its exporter, optimum-intel 2.2.
struct EngineLoader {
    /// What isn't as the engine wants it.
    struct Outcome {
        /// The engine's weights that no tensor fills, by the names that checkpoints have.
        var missing: Set<String> = []
        /// Tensors that have no place, or not this shape or type: dropped silently by SGLang, refused by the others.
        var refused: Set<String> = []
    }

    private let engine: InferenceEngine
    private let shapes: [String: [Int]]
    private let hasMapping: Bool

    /// - Parameter root: The draft's `config.json`.
    init(_ engine: InferenceEngine, _ root: JSONNode) {
        self.engine = engine
        shapes = Self.shapes(engine, root)
        let (draft, target) = (try? root.int("draft_vocab_size"), try? root.int("vocab_size"))
        // SGLang takes a mapping or does without, and OpenVINO's exporter begins with zeros.
        hasMapping = draft != target
    }

    func load(_ file: SafetensorsFile) throws -> Outcome {
        outcome(file.tensors.map { ($0.key, $0.value) })
    }

    /// - Parameter tensors: Names, and what is stored under them; nil if only the name counts.
    func outcome(_ tensors: [(name: String, tensor: StoredTensor?)]) -> Outcome {
        var outcome = Outcome(missing: Set(shapes.keys).union(hasMapping ? ["d2t"] : []))
        for (name, tensor) in tensors {
            if name == "t2d" { continue }
            if name == "d2t" {
                let fits = tensor.map { $0.type == .int64 && $0.shape.count == 1 } ?? true
                if fits, hasMapping || engine == .sglang || engine == .openVINO {
                    outcome.missing.remove(name)
                } else {
                    outcome.refused.insert(name)
                }
                continue
            }
            // OpenVINO GenAI looks for its one layer by the name that it has.
            let renamed = engine == .openVINO ? name : name.replacing("midlayer.", with: "layers.0.")
            guard let shape = shapes[renamed], tensor.map({ $0.shape == shape && $0.type == .bfloat16 }) ?? true else {
                outcome.refused.insert(name)
                continue
            }
            outcome.missing.remove(renamed)
        }
        return outcome
    }

    /// The weights that the engine makes for a configuration, as it would find them in a checkpoint.
    private static func shapes(_ engine: InferenceEngine, _ root: JSONNode) -> [String: [Int]] {
        func number(_ key: String) -> Int { (try? root.int(key)) ?? 0 }
        func isOn(_ key: String) -> Bool { (try? root.bool(key, default: false)) ?? false }
        let (h, intermediate, headDim) = (number("hidden_size"), number("intermediate_size"), number("head_dim"))
        let features = 3 * number("target_hidden_size")
        var shapes = [
            "fc.weight": [h, features], "norm.weight": [h], "lm_head.weight": [number("draft_vocab_size"), h],
        ]
        if isOn("norm_before_fc"), engine != .openVINO { shapes["input_norm.weight"] = [features] }
        if isOn("fc_norm"), [.sglang, .vllm].contains(engine) {
            for feature in 0..<3 { shapes["fc_norm.\(feature).weight"] = [features / 3] }
        }
        let layerCount = number("num_hidden_layers")
        // The converter takes a draft for one by its single layer; without that it is a Llama of other names.
        guard engine != .llamaCpp || layerCount == 1 else { return ["model.embed_tokens.weight": [h]] }
        for layer in 0..<(engine == .openVINO ? 1 : layerCount) {
            let prefix = engine == .openVINO ? "midlayer" : "layers.\(layer)"
            let inputs = layer == 0 ? 2 * h : h
            for (name, shape) in [
                ("input_layernorm", [h]), ("hidden_norm", [h]), ("post_attention_layernorm", [h]),
                ("self_attn.q_proj", [number("num_attention_heads") * headDim, inputs]),
                ("self_attn.k_proj", [number("num_key_value_heads") * headDim, inputs]),
                ("self_attn.v_proj", [number("num_key_value_heads") * headDim, inputs]),
                ("self_attn.o_proj", [h, number("num_attention_heads") * headDim]),
                ("mlp.gate_proj", [intermediate, h]), ("mlp.up_proj", [intermediate, h]),
                ("mlp.down_proj", [h, intermediate]),
            ] { shapes["\(prefix).\(name).weight"] = shape }
        }
        return shapes
    }
}
