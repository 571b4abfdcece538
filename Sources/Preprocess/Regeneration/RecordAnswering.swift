import Shared

/// A record that is to be answered.
struct Question: Sendable {
    var key: RecordKey
    var plan: AnswerPlan
}

/// Has servers answer records, one after the other; each thread has one of its own.
final class RecordAnswering {
    private let pool: ServerPool
    private let settings: ChatRequest.Settings
    private let token: String?
    private let timeout: Int
    private var clients: [Int: HTTPClient] = [:]

    /// - Parameters:
    ///   - token: What the servers' API key is, if they want one.
    ///   - timeout: Seconds until an answer must be whole.
    init(_ pool: ServerPool, _ settings: ChatRequest.Settings, token: String?, timeout: Int) {
        (self.pool, self.settings, self.token, self.timeout) = (pool, settings, token, timeout)
    }

    /// What becomes of a record.
    ///
    /// - Throws: What ends the run: `ServersGone`, `Interrupted`, or an `HTTPError` that each request would get.
    func outcome(of question: Question) throws -> RecordOutcome {
        let plan = question.plan
        var messages = plan.conversation.messages
        var answers: [Answer] = []
        do {
            for (turn, index) in plan.answers.enumerated() {
                let request = ChatRequest(
                    Array(messages[..<index]), plan.conversation.tools,
                    seed: settings.sampling.seed(of: question.key, turn: turn), settings)
                let made = try answer(to: request)
                if index == messages.count { messages.append(made.message) } else { messages[index] = made.message }
                answers.append(made.answer)
                if !made.answer.mayBeContinued || made.message.toolCalls != nil {
                    messages.removeSubrange((index + 1)...)
                    break
                }
            }
        } catch let failure as RecordFailure {
            return .failed(answers.isEmpty ? failure.reason : "answer \(answers.count + 1): \(failure.reason)")
        }
        return .answered(contents(plan, messages, answers.count), answers)
    }

    /// A record with its answers; those of the data that stand aren't supervised.
    private func contents(_ plan: AnswerPlan, _ messages: [Message], _ count: Int) -> [(String, JSONText)] {
        let own = Set(plan.answers.prefix(count))
        let list = messages.enumerated().map { index, message -> JSONText in
            guard message.role == .assistant, !own.contains(index), case .object(let members) = message.json else {
                return message.json
            }
            return .object(members + [("weight", .int(0))])
        }
        return [("messages", .array(list))] + (plan.conversation.tools.map { [("tools", $0)] } ?? [])
    }

    // MARK: - One answer

    private func answer(to request: ChatRequest) throws -> ChatAnswer {
        var failures = 0
        while true {
            let number = try pool.acquire()
            let problem: String
            do {
                let response = try client(number).post("/v1/chat/completions", request.body)
                do {
                    let answer = try withExtendedLifetime(response.json()) { file in
                        try ChatAnswer(file.root.value, settings.reasoning)
                    }
                    pool.release(number, .answered)
                    return answer
                } catch {
                    pool.release(number, .failed)
                    problem = "\(error)"
                }
            } catch let error as HTTPError {
                guard error.kind != .connection else {
                    pool.release(number, .unreachable, "\(error)")
                    continue
                }
                pool.release(number, .failed)
                if case .status(let status) = error.kind, [401, 403, 404].contains(status), !pool.hasAnswered(number) {
                    throw error
                }
                // A server that has just started may not know its own paths yet.
                guard error.isWorthRepeating || error.kind == .status(404) else {
                    throw RecordFailure(reason: "\(error)")
                }
                problem = "\(error)"
            } catch {
                pool.release(number, .failed)
                throw error
            }
            failures += 1
            guard failures <= pool.limits.retries else {
                throw RecordFailure(reason: failures == 1 ? problem : "\(problem) (after \(failures) attempts)")
            }
            try Interrupt.wait(pool.limits.pause(after: failures))
        }
    }

    private func client(_ number: Int) throws -> HTTPClient {
        if let client = clients[number] { return client }
        let client = try HTTPClient(pool.urls[number], token: token, limits: .init(answering: timeout))
        clients[number] = client
        return client
    }
}

/// Why a record has no answer.
private struct RecordFailure: Error { let reason: String }
