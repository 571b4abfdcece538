extension ChatTemplate {
    /// LongCat-Flash.
    static let longCat = ChatTemplate(
        name: "longcat",
        assistantHeader: " ASSISTANT:",
        userHeader: " USER:",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "</longcat_s>",
        assistantPattern: .longcat)
}
