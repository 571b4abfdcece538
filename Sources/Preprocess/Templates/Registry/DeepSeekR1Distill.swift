extension ChatTemplate {
    /// DeepSeek-R1's distilled models; a turn ends where the template's text of it does.
    static let deepSeekR1Distill = ChatTemplate(
        name: "deepseek-r1-distill",
        assistantHeader: "<｜Assistant｜>",
        userHeader: "<｜User｜>",
        systemPrompt: nil,
        endOfTurnToken: "")
}
