extension ChatTemplate {
    /// Qwen3-Next with thoughts, which the prompt opens.
    static let qwen3NextThinking = ChatTemplate(
        name: "qwen3-next-thinking",
        assistantHeader: "<|im_start|>assistant\n<think>\n",
        userHeader: "<|im_start|>user\n",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|im_end|>\n",
        parserType: .thinking,
        enableThinking: true)
}
