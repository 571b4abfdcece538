/// Writes conversations as a model reads them, and finds what the assistant wrote; each worker has one of its own.
protocol ConversationRenderer {
    /// Leaves the conversation's text and the assistant's turns in `text`, instead of what was there.
    ///
    /// - Parameter addGenerationPrompt: Whether the text ends with the generation prompt, for the model to continue.
    /// - Throws: `TemplateError` for a conversation that the template refuses.
    func render(
        _ conversation: Conversation, addGenerationPrompt: Bool, into text: inout RenderedText
    ) throws(TemplateError)
}

extension ConversationRenderer {
    func render(_ conversation: Conversation, into text: inout RenderedText) throws(TemplateError) {
        try render(conversation, addGenerationPrompt: false, into: &text)
    }
}
