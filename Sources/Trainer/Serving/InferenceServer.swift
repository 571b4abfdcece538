import Shared

/// A running server: llama.cpp's, vLLM's, or another that speaks OpenAI's protocol.
final class InferenceServer {
    /// What a server made of one turn.
    struct Answer {
        let text: String
        let promptTokens: Int
        let tokens: Int
        /// Of decoding alone where the server says it, else of the whole request.
        let seconds: Double
        /// What was drafted for it; nil if nothing was, or the server doesn't say.
        var drafting: ServedDrafting?
    }

    private let client: HTTPClient
    /// Whether it is llama.cpp's: it says itself how long decoding took, and what was drafted.
    let isLlamaCpp: Bool
    private let model: String
    private let newTokens: Int

    var url: String { client.server }
    var name: String { isLlamaCpp ? "llama.cpp" : "OpenAI's protocol" }

    /// - Throws: `HTTPError` if there is no server, or it doesn't name a model.
    init(_ url: String, token: String?, timeout: Int, newTokens: Int) throws {
        client = try HTTPClient(HTTPClient.withoutVersion(url), token: token, limits: .init(answering: timeout))
        self.newTokens = newTokens
        model = try client.firstModel()
        do {
            isLlamaCpp = try client.get("/props").json().root["default_generation_settings"] != nil
        } catch let error as HTTPError {
            guard case .status = error.kind else { throw error }
            isLlamaCpp = false
        }
    }

    /// What the server has drafted so far, of all requests; nil if it doesn't say.
    ///
    /// llama.cpp says it with `--metrics`, vLLM always.
    func drafting() throws -> ServedDrafting? {
        do {
            return ServedDrafting(metrics: String(decoding: try client.get("/metrics").body, as: UTF8.self))
        } catch let error as HTTPError {
            guard case .status = error.kind else { throw error }
            return nil
        }
    }

    /// Answers a prompt greedily.
    ///
    /// - Parameter messages: Roles and texts, the last of which is a user's.
    func answer(messages: [(role: String, text: String)]) throws -> Answer {
        let said = messages.map { JSONText.object([("role", .string($0.role)), ("content", .string($0.text))]) }
        let (root, seconds) = try post("/v1/chat/completions", [("messages", .array(said))], limit: "max_tokens")
        let choice = try firstChoice(root)
        return try answer(root, text: choice.required("message")["content"]?.asString() ?? "", seconds)
    }

    /// Answers a prompt greedily.
    func answer(tokens: [Int]) throws -> Answer {
        let prompt = ("prompt", JSONText.array(tokens.map(JSONText.int)))
        if isLlamaCpp {
            let (root, seconds) = try post("/completion", [prompt], limit: "n_predict")
            return try answer(root, text: root.string("content"), seconds)
        }
        let (root, seconds) = try post("/v1/completions", [prompt], limit: "max_tokens")
        return try answer(root, text: firstChoice(root).string("text"), seconds)
    }

    private func post(
        _ path: String, _ members: [(String, JSONText)], limit: String
    ) throws -> (root: JSONNode, seconds: Double) {
        var body = [("model", JSONText.string(model))] + members
        body += [(limit, .int(newTokens)), ("temperature", .int(0)), ("stream", .bool(false))]
        // A prompt that is in the cache is computed in other batches, which round otherwise.
        if isLlamaCpp { body.append(("cache_prompt", .bool(false))) }
        let clock = ContinuousClock.now
        let answer = try client.post(path, .object(body)).json()
        return (answer.root, (ContinuousClock.now - clock).seconds)
    }

    private func firstChoice(_ root: JSONNode) throws -> JSONNode {
        let choices = try root.required("choices")
        guard let first = try choices.asArray().first else { throw choices.error("is empty") }
        return first
    }

    private func answer(_ root: JSONNode, text: String, _ seconds: Double) throws -> Answer {
        guard let timings = root["timings"] else {
            let usage = try root.required("usage")
            return Answer(
                text: text, promptTokens: try usage.int("prompt_tokens"),
                tokens: try usage.int("completion_tokens"), seconds: seconds)
        }
        let tokens = try timings.int("predicted_n")
        var answer = Answer(
            text: text, promptTokens: try timings.int("prompt_n") + timings.int("cache_n", default: 0),
            tokens: tokens, seconds: try timings.double("predicted_ms") / 1000)
        if let drafted = timings["draft_n"] {
            let accepted = try timings.int("draft_n_accepted", default: 0)
            // The first token follows from the prompt; each verification gives one more than it accepts.
            answer.drafting = ServedDrafting(
                verifications: max(0, tokens - 1 - accepted), drafted: try drafted.asInt(), accepted: accepted)
        }
        return answer
    }
}

/// How much a server drafted and accepted.
struct ServedDrafting: Equatable {
    var verifications = 0
    var drafted = 0
    var accepted = 0
    /// Verifications in which the token at each position was accepted; empty if the server doesn't say.
    var acceptedAt: [Int] = []

    init(verifications: Int = 0, drafted: Int = 0, accepted: Int = 0) {
        (self.verifications, self.drafted, self.accepted) = (verifications, drafted, accepted)
    }

    /// The counters of speculative decoding in a server's metrics; nil if there are none.
    ///
    /// llama.cpp and vLLM name them alike. Those of several engines are added.
    init?(metrics: String) {
        var isThere = false
        for line in metrics.split(separator: "\n") where !line.hasPrefix("#") {
            guard let match = line.wholeMatch(of: #/[a-z_]+:(spec_decode_num_\w+)(\{[^}]*\})? +([0-9.eE+]+)\s*/#),
                let number = Double(match.3), number < 1e15
            else { continue }
            let value = Int(number)
            switch match.1 {
            case "spec_decode_num_drafts_total": verifications += value
            case "spec_decode_num_draft_tokens_total": drafted += value
            case "spec_decode_num_accepted_tokens_total": accepted += value
            case "spec_decode_num_accepted_tokens_per_pos_total":
                guard let found = match.2?.firstMatch(of: #/position="(\d{1,3})"/#), let position = Int(found.1) else {
                    continue
                }
                while acceptedAt.count <= position { acceptedAt.append(0) }
                acceptedAt[position] += value
            default: continue
            }
            isThere = true
        }
        guard isThere else { return nil }
    }

    static func + (a: ServedDrafting, b: ServedDrafting) -> ServedDrafting { a.combined(b, +) }
    static func - (a: ServedDrafting, b: ServedDrafting) -> ServedDrafting { a.combined(b, -) }

    private func combined(_ other: ServedDrafting, _ combine: (Int, Int) -> Int) -> ServedDrafting {
        var result = ServedDrafting(
            verifications: combine(verifications, other.verifications), drafted: combine(drafted, other.drafted),
            accepted: combine(accepted, other.accepted))
        let at = { (counts: [Int], position: Int) in position < counts.count ? counts[position] : 0 }
        result.acceptedAt = (0..<max(acceptedAt.count, other.acceptedAt.count)).map {
            combine(at(acceptedAt, $0), at(other.acceptedAt, $0))
        }
        return result
    }

    var acceptedPerVerification: Double { Double(accepted) / Double(max(1, verifications)) }
    var acceptedAtShares: [Double] { acceptedAt.map { Double($0) / Double(max(1, verifications)) } }
}
