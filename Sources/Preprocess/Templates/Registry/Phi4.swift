extension ChatTemplate {
    /// Phi-4.
    static let phi4 = ChatTemplate(
        name: "phi4",
        assistantHeader: "<|im_start|>assistant<|im_sep|>",
        userHeader: "<|im_start|>user<|im_sep|>",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|im_end|>",
        systemHeader: "<|im_start|>system<|im_sep|>")
}
