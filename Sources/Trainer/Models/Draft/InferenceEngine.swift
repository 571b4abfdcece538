import Shared

/// The engines that serve drafts: which targets they serve one for, and what of a draft's options they don't compute.
///
/// As their sources have it at `version`. An engine drops or refuses the tensors of an option that it doesn't know, or
/// computes another draft than the one that was trained; and without a hook in a family's forward pass it has no
/// features to give to a draft, which shows at the first request only.
enum InferenceEngine: String, CaseIterable, Sendable {
    case llamaCpp = "llama.cpp"
    case vllm
    case sglang
    case openVINO = "openvino"

    /// Its name in texts.
    var name: String {
        switch self {
        case .llamaCpp: "llama.cpp"
        case .vllm: "vLLM"
        case .sglang: "SGLang"
        case .openVINO: "OpenVINO GenAI"
        }
    }

    /// That whose sources the rules are from.
    var version: String {
        switch self {
        case .llamaCpp: "0c1e57098 (November 2026)"
        case .vllm: "0.33.0"
        case .sglang: "0.5.23"
        case .openVINO: "2026.4"
        }
    }

    /// A family of targets, by its architectures in `config.json`, and the engines that serve drafts for it.
    struct Family: Sendable {
        let name: String
        let architectures: [String]
        let engines: [InferenceEngine]
    }

    /// Who serves drafts for which targets.
    ///
    /// llama.cpp: graphs that set `t_layer_inp`. vLLM: models with `SupportsEagle3`, its class for all of transformers'
    /// models among them. SGLang: models with `set_eagle3_layers_to_capture`. OpenVINO GenAI: models that optimum-intel
    /// exports and in which it finds the sum that ends a dense layer by its pattern, down_proj of a product added to the
    /// residual, which neither experts nor a norm or a factor after the MLP have.
    static let families = [
        Family(name: "Llama 1 to 3", architectures: ["LlamaForCausalLM"], engines: allCases),
        Family(name: "Mistral", architectures: ["MistralForCausalLM"], engines: allCases),
        Family(name: "Qwen3", architectures: ["Qwen3ForCausalLM"], engines: allCases),
        Family(name: "Qwen3-MoE", architectures: ["Qwen3MoeForCausalLM"], engines: [.llamaCpp, .vllm, .sglang]),
        Family(name: "gpt-oss", architectures: ["GptOssForCausalLM"], engines: [.llamaCpp, .vllm, .sglang]),
        Family(name: "Qwen2", architectures: ["Qwen2ForCausalLM"], engines: [.vllm, .sglang, .openVINO]),
        Family(name: "Phi-3 and 4", architectures: ["Phi3ForCausalLM"], engines: [.vllm, .sglang, .openVINO]),
        Family(
            name: "Llama 4", architectures: ["Llama4ForCausalLM", "Llama4ForConditionalGeneration"],
            engines: [.vllm, .sglang]),
        Family(
            name: "Gemma 3", architectures: ["Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"],
            engines: [.sglang]),
        Family(name: "Cohere2", architectures: ["Cohere2ForCausalLM"], engines: []),
        Family(name: "DeepSeek-V3", architectures: ["DeepseekV3ForCausalLM"], engines: [.vllm, .sglang]),
        Family(name: "Ernie 4.5", architectures: ["Ernie4_5ForCausalLM"], engines: [.vllm]),
        Family(name: "Exaone 4", architectures: ["Exaone4ForCausalLM"], engines: []),
        Family(name: "Gemma 2", architectures: ["Gemma2ForCausalLM"], engines: []),
        Family(
            name: "Gemma 4", architectures: ["Gemma4ForCausalLM", "Gemma4ForConditionalGeneration"],
            engines: [.llamaCpp, .vllm, .sglang]),
        Family(name: "GLM-4", architectures: ["Glm4ForCausalLM"], engines: []),
        Family(name: "GLM-4.7-Flash", architectures: ["Glm4MoeLiteForCausalLM"], engines: [.sglang]),
        Family(name: "Granite", architectures: ["GraniteForCausalLM"], engines: [.vllm]),
        Family(name: "Granite 4 hybrid", architectures: ["GraniteMoeHybridForCausalLM"], engines: []),
        Family(
            name: "HunYuan dense", architectures: ["HunYuanDenseV1ForCausalLM"], engines: [.llamaCpp, .vllm, .openVINO]),
        Family(name: "LFM2", architectures: ["Lfm2ForCausalLM"], engines: [.llamaCpp]),
        Family(name: "LFM2-MoE", architectures: ["Lfm2MoeForCausalLM"], engines: [.llamaCpp]),
        Family(name: "Ministral 3", architectures: ["Ministral3ForCausalLM"], engines: [.vllm, .sglang]),
        Family(
            name: "Mistral 3 with images", architectures: ["Mistral3ForConditionalGeneration"], engines: [.vllm]),
        Family(name: "Mixtral", architectures: ["MixtralForCausalLM"], engines: [.llamaCpp]),
        Family(name: "Nemotron-H", architectures: ["NemotronHForCausalLM"], engines: [.llamaCpp, .vllm]),
        Family(name: "OLMo 2 and 3", architectures: ["Olmo2ForCausalLM", "Olmo3ForCausalLM"], engines: [.vllm]),
        Family(
            name: "Qwen3.5", architectures: ["Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration"],
            engines: [.llamaCpp, .vllm, .sglang]),
        Family(
            name: "Qwen3.5-MoE", architectures: ["Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"],
            engines: [.llamaCpp, .vllm, .sglang]),
        Family(name: "Seed-OSS", architectures: ["SeedOssForCausalLM"], engines: [.vllm]),
        Family(name: "SmolLM3", architectures: ["SmolLM3ForCausalLM"], engines: [.vllm, .openVINO]),
    ]

    /// A method of drafting, and the engines that serve it.
    struct Method: Sendable {
        let name: String
        /// What `DraftConfiguration.method` says.
        let method: String
        let onCPUs: [InferenceEngine]
        /// Those that refuse it on CPUs.
        var onGPUsAlone: [InferenceEngine] = []
    }

    /// vLLM's runner on CPUs has no DSpark (`config/vllm.py`), and SGLang refuses both there
    /// (`arg_groups/speculative_hook.py`).
    static let methods = [
        Method(name: "EAGLE-3", method: "eagle3", onCPUs: allCases),
        Method(name: "DFlash", method: "dflash", onCPUs: [.llamaCpp, .vllm, .openVINO], onGPUsAlone: [.sglang]),
        Method(name: "DSpark", method: "dspark", onCPUs: [.llamaCpp], onGPUsAlone: [.vllm, .sglang]),
    ]

    /// What must be known of a draft that the engine serves under a condition; nil if there is none.
    func condition(_ configuration: any DraftConfiguration) -> String? {
        guard let method = Self.methods.first(where: { $0.method == configuration.method }),
            method.onGPUsAlone.contains(self)
        else { return nil }
        let others = method.onCPUs.map(\.name).joined(separator: ", ")
        return
            "\(name) \(version) serves \(method.name) drafts on GPUs alone and refuses them on CPUs, where \(others) does"
    }

    /// An option of EAGLE-3 drafts, and the engines that compute it.
    struct DraftOption: Sendable {
        /// Its key in `config.json`.
        let key: String
        let engines: [InferenceEngine]
    }

    static let draftOptions = [
        DraftOption(key: "fc_norm", engines: [.sglang, .vllm]),
        DraftOption(key: "norm_before_fc", engines: [.llamaCpp, .sglang, .vllm]),
        DraftOption(key: "norm_before_residual", engines: [.llamaCpp, .vllm]),
        DraftOption(key: "norm_output", engines: [.sglang, .vllm]),
        DraftOption(key: "num_hidden_layers", engines: [.sglang, .vllm]),
    ]

    /// Those keys of a draft's options that the engine doesn't compute.
    func lacking(_ keys: [String]) -> [String] {
        keys.filter { key in !Self.draftOptions.contains { $0.key == key && $0.engines.contains(self) } }
    }

    /// Why the engine can't serve a draft of this form for this target, in words; nil if it can, as far as is known.
    func obstacle(_ target: ModelConfiguration, _ configuration: any DraftConfiguration) -> String? {
        let architecture = target.architectures.first ?? ""
        if let family = Self.families.first(where: { $0.architectures.contains(architecture) }),
            !family.engines.contains(self)
        {
            let others = family.engines.map(\.name).joined(separator: ", ")
            return "\(name) \(version) serves no draft for \(family.name) (\(architecture)); what does: "
                + (others.isEmpty ? "none of the engines that are known here" : others)
        }
        let lacking = configuration.lackingOptions(of: self)
        return lacking.isEmpty
            ? nil : "\(name) \(version) can't serve this draft: it doesn't know \(lacking.joined(separator: ", "))"
    }

    /// Checks that the engine serves a draft of this form for this target, and says under which condition.
    func require(_ target: ModelConfiguration, _ configuration: any DraftConfiguration) throws(DraftNotServed) {
        if let obstacle = obstacle(target, configuration) { throw DraftNotServed(obstacle: obstacle) }
        if let condition = condition(configuration) { Log.warning(condition) }
        let chosen = configuration.layersChosen(by: self, target)
        guard self == .openVINO, let chosen, configuration.targetLayers != chosen.outputs else { return }
        Log.warning(
            "\(name) doesn't read the draft's layers: give it hidden_layers_list \(configuration.targetLayers), or it "
                + "takes the outputs of layers 2, n/2 and n - 3 of the target's n, and none of less than 10 layers")
    }

    /// The layers that the engine gives to a draft whatever the draft's configuration says; nil if it reads that, or if
    /// it refuses such a target.
    ///
    /// OpenVINO GenAI doesn't read a draft's ids. Its default numbers are those that elsewhere are inputs, of which it
    /// takes the outputs (`eagle3_model_transforms.cpp`).
    func layers(of target: ModelConfiguration) -> AuxiliaryLayers? {
        let n = target.numHiddenLayers
        return self == .openVINO && n >= 10 ? AuxiliaryLayers(outputs: [2, n / 2, n - 3]) : nil
    }

    /// Who serves drafts for which targets, in a line for `--help`.
    static let summary = allCases.map { engine in
        let served = families.filter { $0.engines.contains(engine) }.map(\.name)
        return "\(engine.rawValue) \(engine.version): "
            + (served.count == families.count ? "all targets" : served.joined(separator: ", "))
    }.joined(separator: "; ")

    /// The tables of Documentation/Engines.md.
    static var tables: String {
        let row = { (cells: [String]) in "| \(cells.joined(separator: " | ")) |" }
        let marks = { (engines: [InferenceEngine]) in allCases.map { engines.contains($0) ? "yes" : "no" } }
        let rule = row([String](repeating: "---", count: allCases.count + 1))
        let heads = allCases.map { "\($0.name) \($0.version)" }
        return
            ([row(["target"] + heads), rule]
            + families.map {
                row(["\($0.name) (\($0.architectures.map { "`\($0)`" }.joined(separator: ", ")))"] + marks($0.engines))
            }
            + ["", row(["method"] + heads), rule]
            + methods.map { method in
                row(
                    [method.name]
                        + allCases.map {
                            method.onCPUs.contains($0)
                                ? "yes" : method.onGPUsAlone.contains($0) ? "on GPUs alone" : "no"
                        })
            }
            + ["", row(["key of the draft's `config.json`"] + heads), rule]
            + draftOptions.map { row(["`\($0.key)`"] + marks($0.engines)) })
            .joined(separator: "\n")
    }
}

/// A draft that the engine which it is for can't serve.
struct DraftNotServed: Error, CustomStringConvertible {
    let obstacle: String

    var description: String { "--serve-with: \(obstacle)" }
}
