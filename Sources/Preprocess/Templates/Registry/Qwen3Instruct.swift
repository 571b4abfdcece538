extension ChatTemplate {
    /// Qwen3 without thoughts: the empty block of thoughts isn't supervised.
    static let qwen3Instruct = ChatTemplate(
        name: "qwen3-instruct",
        assistantHeader: "<|im_start|>assistant\n",
        userHeader: "<|im_start|>user\n",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|im_end|>\n",
        ignoredTexts: ["<think>\n\n</think>\n\n"])
}
