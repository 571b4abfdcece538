extension ChatTemplate {
    /// gpt-oss in the harmony format: all that the assistant writes, the channels' names among it.
    static let gptOss = ChatTemplate(
        name: "gpt-oss",
        assistantHeader: "<|start|>assistant",
        userHeader: "<|start|>user<|message|>",
        systemPrompt: nil,
        endOfTurnToken: "",
        parserType: .harmony)
}
