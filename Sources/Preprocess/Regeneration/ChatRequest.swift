import Shared

/// What is asked of an OpenAI-compatible server for one answer.
struct ChatRequest: Sendable {
    /// What all requests of a run share.
    struct Settings: Sendable {
        var model: String
        var sampling: SamplingOptions
        var reasoning = AnswerReasoning.save
        /// Variables for the server's template, as a JSON object.
        var templateVariables: [(String, JSONText)] = []
    }

    let body: JSONText

    init(_ messages: [Message], _ tools: JSONText?, seed: UInt64, _ settings: Settings) {
        let sampling = settings.sampling
        var members: [(String, JSONText)] = [
            ("model", .string(settings.model)), ("messages", .array(messages.map(\.requestJSON))),
        ]
        if let tools { members.append(("tools", tools)) }
        // All of them, as servers have defaults of their own: llama.cpp's top_k is 40. What is off is so in each of them.
        // The penalty is called one thing by llama.cpp, another by vLLM and SGLang.
        members += [
            ("max_tokens", .int(sampling.maxNewTokens)),
            ("temperature", .number(Double("\(sampling.temperature)") ?? 0)),
            ("top_p", .number(Double("\(sampling.topP)") ?? 1)),
            ("top_k", .int(sampling.topK == 0 ? -1 : sampling.topK)),
            ("min_p", .number(Double("\(sampling.minP)") ?? 0)),
            ("repeat_penalty", .number(Double("\(sampling.repetitionPenalty)") ?? 1)),
            ("repetition_penalty", .number(Double("\(sampling.repetitionPenalty)") ?? 1)),
            // What fits into every server's integers.
            ("seed", .int(Int(seed & 0x7FFF_FFFF))), ("stream", .bool(false)),
        ]
        var variables = settings.templateVariables
        if settings.reasoning == .off {
            for name in AnswerReasoning.switches where !variables.contains(where: { $0.0 == name }) {
                variables.append((name, .bool(false)))
            }
        }
        if !variables.isEmpty { members.append(("chat_template_kwargs", .object(variables))) }
        body = .object(members)
    }
}

/// What a server answered.
struct ChatAnswer: Equatable, Sendable {
    var message: Message
    var answer: Answer

    /// - Throws: `ChatAnswerError` for what is no answer.
    init(_ response: JSONValue, _ reasoning: AnswerReasoning) throws(ChatAnswerError) {
        guard let choice = response["choices"]?.elements.first(where: { _ in true }), let own = choice.value("message")
        else {
            throw ChatAnswerError("has no 'choices' with a 'message'")
        }
        let calls: JSONText? = own.value("tool_calls").flatMap {
            $0.elements.contains { _ in true } ? JSONText($0) : nil
        }
        guard
            let content = own.value("content")?.utf8.map(Array.init)
                ?? (own["content"]?.kind ?? .null == .null ? [] : nil)
        else { throw ChatAnswerError("has a 'content' that isn't text") }
        let isFinished: Bool
        switch choice.value("finish_reason")?.string {
        case "stop", "tool_calls", "function_call": isFinished = true
        case "length": isFinished = false
        case let reason:
            throw ChatAnswerError(
                "has the 'finish_reason' \(reason.map(JSONText.quoted) ?? "null"), should be stop, length or tool_calls"
            )
        }
        guard let tokens = response["usage"]?.value("completion_tokens")?.int, Answer.possibleTokens.contains(tokens)
        else {
            throw ChatAnswerError("has no 'usage' with a number of 'completion_tokens' that an answer may have")
        }
        let thoughts = (own.value("reasoning_content") ?? own.value("reasoning"))?.utf8.map(Array.init) ?? []
        message = Message(role: .assistant, content: reasoning.keepsThoughts ? content : Self.withoutThoughts(content))
        if reasoning.keepsThoughts, !thoughts.isEmpty { message.reasoning = thoughts }
        if let calls { message.fields.append(.init(name: "tool_calls", value: calls)) }
        let made = Answer(utf8: thoughts + message.content, tokens: tokens, isFinished: isFinished)
        answer = Answer(
            tokens: tokens, isFinished: isFinished,
            isEmpty: calls == nil && message.content.allSatisfy { $0 <= 0x20 }, isLooping: made.isLooping)
    }

    /// The text after thoughts that stand in it, where the server doesn't tell them apart.
    private static func withoutThoughts(_ content: [UInt8]) -> [UInt8] {
        let end = ThoughtMarkers.tags[1]
        guard let found = ByteSearch.last(end, in: content, 0..<content.count) else {
            return content.drop { $0 <= 0x20 }.starts(with: ThoughtMarkers.tags[0]) ? [] : content
        }
        return Array(content[(found + end.count)...].drop { $0 <= 0x20 })
    }
}

/// Why what a server sent is no answer.
struct ChatAnswerError: Error, CustomStringConvertible {
    let description: String
    init(_ problem: String) { description = "the server's answer \(problem)" }
}

extension Message {
    /// As a dataset has it.
    var json: JSONText {
        var members: [(String, JSONText)] = [
            ("role", .string(role.rawValue)), ("content", .string(String(decoding: content, as: UTF8.self))),
        ]
        if let reasoning { members.append(("reasoning_content", .string(String(decoding: reasoning, as: UTF8.self)))) }
        return .object(members + fields.map { ($0.name, $0.value) })
    }

    /// As servers want it: the arguments of calls are text there.
    var requestJSON: JSONText {
        guard case .array(let calls)? = toolCalls, case .object(let members) = json else { return json }
        let texts = calls.map { call -> JSONText in
            guard case .object(var members) = call, let index = members.firstIndex(where: { $0.0 == "function" }),
                case .object(var function) = members[index].1,
                let arguments = function.firstIndex(where: { $0.0 == "arguments" })
            else { return call }
            if case .string = function[arguments].1 { return call }
            function[arguments].1 = .string(function[arguments].1.compact)
            members[index].1 = .object(function)
            return .object(members)
        }
        return .object(members.map { $0.0 == "tool_calls" ? ($0.0, .array(texts)) : $0 })
    }
}
