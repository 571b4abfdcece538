extension ChatTemplate {
    /// Qwen3 with thoughts.
    static let qwen3Thinking = ChatTemplate(
        name: "qwen3-thinking",
        assistantHeader: "<|im_start|>assistant\n",
        userHeader: "<|im_start|>user\n",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|im_end|>\n",
        parserType: .thinking,
        enableThinking: true)
}
