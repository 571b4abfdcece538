extension ChatTemplate {
    /// DeepSeek-V3.
    static let deepSeekV3 = ChatTemplate(
        name: "deepseek-v3",
        assistantHeader: "<｜Assistant｜>",
        userHeader: "<｜User｜>",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<｜end▁of▁sentence｜>")
}
