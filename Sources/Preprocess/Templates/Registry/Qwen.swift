extension ChatTemplate {
    /// Qwen2 and Qwen2.5 Instruct, and SmolLM2: ChatML with a system prompt.
    static let qwen = ChatTemplate(
        name: "qwen",
        assistantHeader: "<|im_start|>assistant\n",
        userHeader: "<|im_start|>user\n",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|im_end|>\n",
        systemHeader: "<|im_start|>system\n")
}
