extension ChatTemplate {
    /// Llama 3.1, 3.2 and 3.3 Instruct, with SpecForge's system prompt.
    ///
    /// The dates are those of the models' own template when no date is given.
    static let llama3 = ChatTemplate(
        name: "llama3",
        assistantHeader: "<|start_header_id|>assistant<|end_header_id|>\n\n",
        userHeader: "<|start_header_id|>user<|end_header_id|>\n\n",
        systemPrompt: """
            You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being \
            safe.  Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or \
            illegal content. Please ensure that your responses are socially unbiased and positive in nature.

            If a question does not make any sense, or is not factually coherent, explain why instead of answering \
            something not correct. If you don't know the answer to a question, please don't share false information.
            """,
        endOfTurnToken: "<|eot_id|>",
        systemHeader: "<|start_header_id|>system<|end_header_id|>\n\n",
        systemPrefix: "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
        beginsWithBOS: true,
        trimsSystem: true,
        trimsContent: true)
}
