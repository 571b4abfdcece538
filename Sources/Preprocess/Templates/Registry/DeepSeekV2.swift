extension ChatTemplate {
    /// DeepSeek-V2, whose headers are plain text.
    static let deepSeekV2 = ChatTemplate(
        name: "deepseek-v2",
        assistantHeader: "Assistant: ",
        userHeader: "User: ",
        systemPrompt: nil,
        endOfTurnToken: "<｜end▁of▁sentence｜>")
}
