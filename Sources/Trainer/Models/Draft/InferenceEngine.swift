/// The engines that serve drafts, and what of a draft's options they don't compute.
///
/// As SGLang 0.5.23, vLLM 0.32 and llama.cpp of June 2026 have it. An engine drops or refuses the tensors of an option
/// that it doesn't know, or computes another draft than the one that was trained.
enum InferenceEngine: String, CaseIterable, Sendable {
    case sglang = "SGLang"
    case vllm = "vLLM"
    case llamaCpp = "llama.cpp"

    /// The keys of `config.json` that the engine doesn't know and a draft depends on.
    func lackingOptions(of shape: Eagle3DraftModel.Shape) -> [String] {
        let options: [(isUsed: Bool, key: String, engines: [InferenceEngine])] = [
            (shape.fcNorm, "fc_norm", [.sglang, .vllm]), (shape.normBeforeFC, "norm_before_fc", Self.allCases),
            (shape.normBeforeResidual, "norm_before_residual", [.vllm, .llamaCpp]),
            (shape.normOutput, "norm_output", [.sglang, .vllm]),
            (shape.numHiddenLayers > 1, "num_hidden_layers", [.sglang, .vllm]),
        ]
        return options.filter { $0.isUsed && !$0.engines.contains(self) }.map(\.key)
    }
}
