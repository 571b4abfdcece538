import Shared

/// The same prompts to a running server, with its draft and, from another one, without.
struct ServerEvaluation {
    /// One turn of a prompt.
    struct Turn {
        let line: Int
        let category: String?
        let answer: InferenceServer.Answer
        /// The server's answer without a draft.
        let plain: InferenceServer.Answer?
    }

    let server: InferenceServer
    let plainServer: InferenceServer?

    /// Asks everything, one turn after the other.
    ///
    /// - Parameter progress: Called with how many prompts are done.
    func run(_ prompts: [ServerPrompt], progress: (Int) -> Void) throws -> [Turn] {
        var turns: [Turn] = []
        for (index, prompt) in prompts.enumerated() {
            try Interrupt.check()
            switch prompt.content {
            case .tokens(let tokens):
                let plain = try plainServer?.answer(tokens: tokens)
                turns.append(turn(prompt, try measured { try server.answer(tokens: tokens) }, plain))
            case .turns(let said):
                var messages = prompt.system.map { [(role: "system", text: $0)] } ?? []
                for text in said {
                    messages.append((role: "user", text: text))
                    let plain = try plainServer?.answer(messages: messages)
                    let answer = try measured { try server.answer(messages: messages) }
                    turns.append(turn(prompt, answer, plain))
                    messages.append((role: "assistant", text: answer.text))
                }
            }
            progress(index + 1)
        }
        return turns
    }

    private func turn(
        _ prompt: ServerPrompt, _ answer: InferenceServer.Answer, _ plain: InferenceServer.Answer?
    ) -> Turn { Turn(line: prompt.line, category: prompt.category, answer: answer, plain: plain) }

    /// With what the server's counters say of it, if there are any: they alone know positions.
    private func measured(_ ask: () throws -> InferenceServer.Answer) throws -> InferenceServer.Answer {
        let before = try server.drafting()
        var answer = try ask()
        if let before, let after = try server.drafting() { answer.drafting = after - before }
        return answer
    }
}
