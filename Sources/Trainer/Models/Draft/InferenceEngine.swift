/// The engines that serve drafts; a configuration's `lackingOptions` says what of a draft's options they don't compute.
///
/// As SGLang 0.5.23, vLLM 0.32 and llama.cpp of June 2026 have it. An engine drops or refuses the tensors of an option
/// that it doesn't know, or computes another draft than the one that was trained.
enum InferenceEngine: String, CaseIterable, Sendable {
    case sglang = "SGLang"
    case vllm = "vLLM"
    case llamaCpp = "llama.cpp"
}
