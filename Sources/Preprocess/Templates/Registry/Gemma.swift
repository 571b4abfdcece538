extension ChatTemplate {
    /// Gemma 2 and 3.
    static let gemma = ChatTemplate(
        name: "gemma",
        assistantHeader: "<start_of_turn>model\n",
        userHeader: "<start_of_turn>user\n",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<end_of_turn>\n")
}
