extension ChatTemplate {
    /// Phi-4-mini.
    static let phi4Mini = ChatTemplate(
        name: "phi4-mini",
        assistantHeader: "<|assistant|>",
        userHeader: "<|user|>",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|end|>")
}
