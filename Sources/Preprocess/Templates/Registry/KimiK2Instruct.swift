extension ChatTemplate {
    /// Kimi K2 Instruct.
    ///
    /// SpecForge has a user's header of ChatML, which Kimi doesn't write.
    static let kimiK2Instruct = ChatTemplate(
        name: "kimi-k2-instruct",
        assistantHeader: "<|im_assistant|>assistant<|im_middle|>",
        userHeader: "<|im_user|>user<|im_middle|>",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|im_end|>")
}
