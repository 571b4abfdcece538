extension ChatTemplate {
    /// DeepSeek-V3.2 with thoughts.
    static let deepSeekV32 = ChatTemplate(
        name: "deepseek-v32",
        assistantHeader: "<｜Assistant｜>",
        userHeader: "<｜User｜>",
        systemPrompt: "",
        endOfTurnToken: "<｜end▁of▁sentence｜>",
        parserType: .thinking,
        enableThinking: true)
}
