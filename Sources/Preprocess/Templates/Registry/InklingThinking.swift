extension ChatTemplate {
    /// Inkling with thoughts; a turn ends with the next one's header, which isn't supervised.
    static let inklingThinking = ChatTemplate(
        name: "inkling-thinking",
        assistantHeader: "<|message_model|>",
        userHeader: "<|message_user|>",
        systemPrompt: nil,
        endOfTurnToken: "<|message_user|>",
        parserType: .thinking,
        assistantPattern: .inkling,
        enableThinking: true,
        ignoredTexts: ["<|message_user|>", "<|message_tool|>", "<|message_system|>"])
}
