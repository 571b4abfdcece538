import Shared

/// The targets that can be trained for, by the architecture that their `config.json` names.
///
/// To add a family: a file that describes it, and a line here.
enum TargetModelRegistry {
    static let architectures: [String: Describe] = [
        "Cohere2ForCausalLM": Cohere2.describe,
        "DeepseekV3ForCausalLM": DeepseekV3.describe,
        "Ernie4_5ForCausalLM": Ernie45.describe,
        "Exaone4ForCausalLM": Exaone4.describe,
        "Gemma2ForCausalLM": Gemma2.describe,
        "Gemma3ForCausalLM": Gemma3.describe,
        "Gemma3ForConditionalGeneration": Gemma3.describe,
        "Gemma4ForCausalLM": Gemma4.describe,
        "Gemma4ForConditionalGeneration": Gemma4.describe,
        "Glm4ForCausalLM": Glm4.describe,
        "Glm4MoeLiteForCausalLM": DeepseekV3.describeGlm4MoELite,
        "GptOssForCausalLM": GptOss.describe,
        "GraniteForCausalLM": Granite.describe,
        "GraniteMoeHybridForCausalLM": GraniteHybrid.describe,
        "HunYuanDenseV1ForCausalLM": HunYuan.describe,
        "Lfm2ForCausalLM": Lfm2.describe,
        "Lfm2MoeForCausalLM": Lfm2.describeMoE,
        "Llama4ForCausalLM": Llama4.describe,
        "Llama4ForConditionalGeneration": Llama4.describe,
        "LlamaForCausalLM": Llama.describe,
        "Ministral3ForCausalLM": Ministral3.describe,
        "Mistral3ForConditionalGeneration": Ministral3.describeMixed,
        "MistralForCausalLM": Mistral.describe,
        "MixtralForCausalLM": Mixtral.describe,
        "NemotronHForCausalLM": NemotronH.describe,
        "Olmo2ForCausalLM": Olmo.describe,
        "Olmo3ForCausalLM": Olmo.describe3,
        "Phi3ForCausalLM": Phi3.describe,
        "Qwen2ForCausalLM": Qwen2.describe,
        "Qwen3ForCausalLM": Qwen3.describe,
        "Qwen3MoeForCausalLM": Qwen3MoE.describe,
        "Qwen3_5ForCausalLM": Qwen35.describe,
        "Qwen3_5ForConditionalGeneration": Qwen35.describe,
        "Qwen3_5MoeForCausalLM": Qwen35.describeMoE,
        "Qwen3_5MoeForConditionalGeneration": Qwen35.describeMoE,
        "SeedOssForCausalLM": SeedOss.describe,
        "SmolLM3ForCausalLM": SmolLM3.describe,
    ]

    /// Turns a family's configuration into a description of its decoder.
    typealias Describe = @Sendable (ModelConfiguration) throws(JSONError) -> DecoderDescription

    /// Loads this rank's part of a target.
    ///
    /// - Parameters:
    ///   - directory: A Hugging Face directory, config.json and safetensors; or a GGUF file.
    ///   - positions: The longest sequence that will be asked for, in rows.
    ///   - compute: What computes; linear maps and the embedding are held in its precision.
    ///   - expertParallel: Whether ranks have whole experts, instead of a part of each.
    ///   - unpacks: Whether packed weights are unpacked when they are read, instead of when a product needs them.
    ///   - layersWait: Whether the layers' weights are read when they first run, and not at once.
    ///   - world: All ranks that load their parts at the same time; the group by itself if left out.
    ///   - beforeReading: Sees the model that is laid out, whose size is known and whose weights are still zero.
    /// - Throws: An error that names the key, or the tensor, that is missing or not supported.
    static func load(
        _ directory: String, communicator: any Communicator, positions: Int, _ compute: Compute,
        expertParallel: Bool = false, unpacks: Bool = false, layersWait: Bool = false,
        architectures: [String: Describe] = architectures,
        world: (any Communicator)? = nil, beforeReading: (DecoderTargetModel) throws -> Void = { _ in }
    ) throws -> DecoderTargetModel {
        try Profile.measure(.loading) {
            let (model, plan) = try lay(
                directory, try WeightDirectory(directory), communicator, positions, compute, expertParallel,
                unpacks, architectures)
            log(plan, unpacks: unpacks, tpSize: communicator.size)
            try beforeReading(model)
            try (world ?? communicator).together { beat in
                try plan.fill(layersWait ? [.ends] : [.ends, .layers], check: beat)
            }
            if layersWait { model.layerLoading.wait(for: plan) }
            return model
        }
    }

    /// This rank's part of a target as `load` would make it, of zeros: its tensors are checked, and no number is read.
    ///
    /// Where there are no weights at all it follows from `config.json` alone.
    static func layOut(
        _ directory: String, communicator: any Communicator, positions: Int, _ compute: Compute,
        expertParallel: Bool = false, unpacks: Bool = false
    ) throws -> DecoderTargetModel {
        let weights = try WeightDirectory.isThere(directory) ? WeightDirectory(directory) : nil
        return try lay(
            directory, weights, communicator, positions, compute, expertParallel, unpacks, architectures
        ).model
    }

    /// Says what of packed weights stays so.
    private static func log(_ plan: WeightPlan, unpacks: Bool, tpSize: Int) {
        let (kept, unpacked) = (Double(plan.packedCounts.kept), Double(plan.packedCounts.unpacked))
        if kept > 0 { Log.line("target: \(shortNumber(kept)) packed weights are unpacked as products need them") }
        if unpacked > 0, !unpacks {
            Log.line(
                "note: \(shortNumber(unpacked)) packed weights are held unpacked: "
                    + (tpSize > 1 ? "--tp-size \(tpSize) cuts their blocks" : "their blocks aren't whole rows'"))
        }
    }

    private static func lay(
        _ directory: String, _ weights: WeightDirectory?, _ communicator: any Communicator, _ positions: Int,
        _ compute: Compute, _ expertParallel: Bool, _ unpacks: Bool, _ architectures: [String: Describe]
    ) throws -> (model: DecoderTargetModel, plan: WeightPlan) {
        let configuration = try ModelConfiguration(directory: directory)
        guard let name = configuration.architectures.first else {
            throw JSONError("key 'architectures' is missing", at: configuration.path)
        }
        guard let describe = architectures[name] else {
            let known = architectures.keys.sorted().joined(separator: ", ")
            throw JSONError(
                "key 'architectures' is '\(name)', which isn't supported; supported: \(known)", at: configuration.path)
        }
        try refuseQuantization(configuration)
        var description = try describe(configuration)
        if try configuration.text.bool("is_gguf", default: false) {
            let isInterleaved = try configuration.text.bool("rope_interleave", default: false)
            let hasFusedGateUp = try configuration.text.bool("has_fused_gate_up", default: false)
            description = description.inGGUF(isInterleaved: isInterleaved, hasFusedGateUp: hasFusedGateUp)
        }
        let plan = WeightPlan(weights, compute, spelling: description.spelling, keepsPacked: !unpacks)
        let model = try DecoderTargetModel(
            description, plan, communicator: communicator, positions: positions,
            expertParallel: expertParallel)
        return (model, plan)
    }

    /// Refuses packed weights in a way that isn't known; those that are known, their reader checks.
    private static func refuseQuantization(_ configuration: ModelConfiguration) throws(JSONError) {
        for node in [configuration.root, configuration.text] {
            guard let method = try node["quantization_config"]?.required("quant_method") else { continue }
            let name = try method.asString()
            let isKnown =
                name == "mxfp4"
                ? configuration.architectures.first == "GptOssForCausalLM" : QuantizedWeights.methods.contains(name)
            guard isKnown else {
                throw method.error(
                    "is '\(name)', supported are \(QuantizedWeights.methods.joined(separator: ", ")), "
                        + "and mxfp4 of GptOssForCausalLM")
            }
        }
    }
}
