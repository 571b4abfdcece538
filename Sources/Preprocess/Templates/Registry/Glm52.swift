extension ChatTemplate {
    /// GLM-5.2 without thoughts; a turn ends with the next one's header, which isn't supervised.
    static let glm52 = ChatTemplate(
        name: "glm-5.2",
        assistantHeader: "<|assistant|><think>",
        userHeader: "<|user|>",
        systemPrompt: nil,
        endOfTurnToken: "<|user|>",
        parserType: .glm,
        assistantPattern: .glm,
        ignoredTexts: ["<|user|>"])
}
