extension ChatTemplate {
    /// Phi-3 and Phi-3.5 Instruct.
    ///
    /// The text ends with the eos token, which no turn of the assistant includes.
    static let phi3 = ChatTemplate(
        name: "phi3",
        assistantHeader: "<|assistant|>\n",
        userHeader: "<|user|>\n",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "<|end|>\n",
        systemHeader: "<|system|>\n",
        endsWithEOS: true)
}
