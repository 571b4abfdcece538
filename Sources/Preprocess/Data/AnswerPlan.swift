import Shared

/// Which answers of a conversation are to be made, and which of its messages stand as they are.
///
/// An answer is made where the data have one of the assistant's, and at the end of a conversation that ends with the user.
/// What the data leave out of the loss stands, and so do calls of tools: what a tool gave back answers that very call.
struct AnswerPlan: Equatable {
    /// The conversation's messages up to the last answer that is to be made; those in its place are never read.
    let conversation: Conversation
    /// The indices of the messages that are to be made, ascending; the last one follows all others.
    let answers: [Int]

    /// - Throws: `Rejection` if there is none to be made.
    init(_ conversation: Conversation, _ turns: PromptTurns) throws(Rejection) {
        let messages = conversation.messages
        func asks(_ role: Role) -> Bool { role == .user || role == .tool }
        var answers = messages.indices.dropFirst().filter { index in
            let message = messages[index]
            return message.role == .assistant && message.isSupervised && message.toolCalls == nil
                && asks(messages[index - 1].role)
        }
        if let last = messages.last, asks(last.role) { answers.append(messages.count) }
        guard let first = answers.first, let last = answers.last else {
            throw Rejection(.noAssistant, "has no turn that is to be answered")
        }
        switch turns {
        case .all: self.answers = answers
        case .last: self.answers = [last]
        case .first: self.answers = [first]
        }
        self.conversation = conversation.prefix(self.answers.last ?? last)
    }
}
