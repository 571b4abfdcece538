extension ChatTemplate {
    /// LFM2 Instruct: ChatML without a system prompt.
    static let lfm = ChatTemplate(
        name: "lfm",
        assistantHeader: "<|im_start|>assistant\n",
        userHeader: "<|im_start|>user\n",
        systemPrompt: "",
        endOfTurnToken: "<|im_end|>\n")
}
