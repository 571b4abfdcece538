extension ChatTemplate {
    /// Ling-flash-2.0.
    static let lingFlash2 = ChatTemplate(
        name: "ling-flash-2.0",
        assistantHeader: "<role>ASSISTANT</role>",
        userHeader: "<role>HUMAN</role>",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|role_end|>")
}
