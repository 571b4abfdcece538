extension ChatTemplate {
    /// ChatML as OpenAI described it: no system prompt of its own.
    static let chatML = ChatTemplate(
        name: "chatml",
        assistantHeader: "<|im_start|>assistant\n",
        userHeader: "<|im_start|>user\n",
        systemPrompt: nil,
        endOfTurnToken: "<|im_end|>\n",
        systemHeader: "<|im_start|>system\n",
        toolHeader: "<|im_start|>tool\n")
}
