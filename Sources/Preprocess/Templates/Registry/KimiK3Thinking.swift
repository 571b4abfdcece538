extension ChatTemplate {
    /// Kimi K3: supervised from within the block of thoughts on, without the token that ends the message.
    static let kimiK3Thinking = ChatTemplate(
        name: "kimi-k3-thinking",
        assistantHeader: "<|open|>message role=\"assistant\"<|sep|><|open|>think<|sep|>",
        userHeader: "<|open|>message role=\"user\"<|sep|>",
        systemPrompt: nil,
        endOfTurnToken: "<|end_of_msg|>",
        parserType: .thinking,
        ignoredTexts: ["<|end_of_msg|>"])
}
