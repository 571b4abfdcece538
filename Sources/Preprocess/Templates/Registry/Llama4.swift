extension ChatTemplate {
    /// Llama 4 Scout and Maverick Instruct.
    static let llama4 = ChatTemplate(
        name: "llama4",
        assistantHeader: "<|header_start|>assistant<|header_end|>\n\n",
        userHeader: "<|header_start|>user<|header_end|>\n\n",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|eot|>",
        systemHeader: "<|header_start|>system<|header_end|>\n\n",
        beginsWithBOS: true,
        trimsSystem: true)
}
