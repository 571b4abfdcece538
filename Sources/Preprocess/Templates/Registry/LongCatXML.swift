extension ChatTemplate {
    /// LongCat-Flash with tags.
    static let longCatXML = ChatTemplate(
        name: "longcat_xml",
        assistantHeader: "<longcat_assistant>",
        userHeader: "<longcat_user>",
        systemPrompt: "You are a helpful assistant.",
        endOfTurnToken: "</longcat_s>")
}
