extension ChatTemplate {
    /// gpt-oss by plain headers: only answers that begin with an analysis, as SpecForge has it.
    ///
    /// The model's template writes none for answers without one; `gpt-oss` marks every answer.
    static let gptOssNaive = ChatTemplate(
        name: "gpt-oss-naive",
        assistantHeader: "<|start|>assistant<|channel|>analysis<|message|>",
        userHeader: "<|start|>user<|message|>",
        systemPrompt: nil,
        endOfTurnToken: "<|end|>")
}
