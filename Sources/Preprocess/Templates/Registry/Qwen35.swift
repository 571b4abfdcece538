extension ChatTemplate {
    /// Qwen3.5 with thoughts, which the prompt opens.
    static let qwen35 = ChatTemplate(
        name: "qwen3.5",
        assistantHeader: "<|im_start|>assistant\n<think>\n",
        userHeader: "<|im_start|>user\n",
        systemPrompt: "",
        endOfTurnToken: "<|im_end|>\n",
        parserType: .thinking,
        enableThinking: true)
}
