extension ChatTemplate {
    /// Kimi K2 Thinking.
    ///
    /// SpecForge has a user's header of ChatML, which Kimi doesn't write.
    static let kimiK2Thinking = ChatTemplate(
        name: "kimi-k2-thinking",
        assistantHeader: "<|im_assistant|>assistant<|im_middle|>",
        userHeader: "<|im_user|>user<|im_middle|>",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|im_end|>",
        parserType: .thinking,
        enableThinking: true)
}
