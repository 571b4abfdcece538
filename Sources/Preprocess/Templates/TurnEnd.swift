/// What ends an answer where the next role's marker does, as GLM's: the model writes `<|user|>` or `<|observation|>`,
/// which its configuration lists among the eos tokens, and the template writes it as the next header.
///
/// The marker is part of the turn, and a text that ends with an answer gets the marker that the model would write.
struct TurnEnd: Equatable, Sendable {
    /// What follows an answer to the user.
    var afterAnswer: [UInt8]
    /// What follows a call of a tool.
    var afterCall: [UInt8]

    /// - Parameter isWhole: Whether the text ends with the conversation, not with a generation prompt.
    func extend(_ text: inout RenderedText, _ conversation: Conversation, isWhole: Bool) {
        for index in text.turns.indices {
            let end = text.turns[index].range.upperBound
            let marker: [UInt8]
            if end == text.bytes.count, isWhole {
                let calls = text.turns[index].message.map { conversation.messages[$0].toolCalls != nil } ?? false
                marker = calls ? afterCall : afterAnswer
                text.bytes += marker
            } else if let found = [afterAnswer, afterCall].first(where: { text.bytes[end...].starts(with: $0) }) {
                marker = found
            } else {
                continue
            }
            text.turns[index].range = text.turns[index].range.lowerBound..<end + marker.count
        }
    }
}
