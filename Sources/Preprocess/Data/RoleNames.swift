import Shared

/// Who a message is from.
enum Role: String, CaseIterable, Sendable {
    case system, user, assistant, tool
}

/// The names by which datasets call the roles of a conversation.
///
/// Capitals don't matter, and neither does whether a space, a hyphen or an underscore stands between words.
struct RoleNames: Equatable, Sendable {
    enum Meaning: Hashable, Sendable {
        case role(Role)
        /// The assistant's call of a tool, as JSON, in a message of its own.
        case call

        var name: String { if case .role(let role) = self { role.rawValue } else { "tool_call" } }
    }

    /// Every name that is known without being told.
    static let known: [(meaning: Meaning, names: [String])] = [
        (.role(.system), ["system", "developer", "sys", "system_prompt", "system_message"]),
        (
            .role(.user),
            ["user", "human", "prompter", "customer", "client", "usr", "instruction", "question", "prompt", "query"]
        ),
        (
            .role(.assistant),
            [
                "assistant", "gpt", "chatgpt", "model", "ai", "bot", "chatbot", "bing", "bard", "claude", "gemini",
                "llm", "agent", "output", "answer", "response",
            ]
        ),
        (
            .role(.tool),
            [
                "tool", "function", "observation", "ipython", "tool_response", "tool_responses", "tool_result",
                "tool_results", "tool_output", "tool_outputs", "function_response", "function_result",
                "function_output",
            ]
        ),
        (.call, ["tool_call", "tool_calls", "function_call", "function_calls"]),
    ]

    private var meanings: [String: Meaning] = [:]
    /// What was told besides, sorted, as `name=role`.
    private(set) var told: [String] = []

    /// - Parameter told: Names that the dataset has besides, as `name=role`.
    /// - Throws: `OptionsError` for what isn't of this form.
    init(_ told: [String] = []) throws(OptionsError) {
        self.init()
        for mapping in told {
            guard let equals = mapping.lastIndex(of: "="), equals > mapping.startIndex,
                let meaning = Self.known.first(where: { $0.meaning.name == mapping[mapping.index(after: equals)...] })
            else {
                let roles = Self.known.map(\.meaning.name).joined(separator: ", ")
                throw .rule("--role-map: '\(mapping)' should be NAME=ROLE with one of the roles \(roles)")
            }
            meanings[Self.normalized(mapping[..<equals].utf8)] = meaning.meaning
        }
        self.told = told.sorted()
    }

    init() {
        for (meaning, names) in Self.known { for name in names { meanings[name] = meaning } }
    }

    /// What a name stands for; nil if it isn't known.
    ///
    /// OpenAI's models are the assistant under their own names too, as `gpt-4`.
    func meaning(of name: some Collection<UInt8>) -> Meaning? {
        let name = Self.normalized(name)
        return meanings[name] ?? (["gpt_", "chatgpt_"].contains(where: name.hasPrefix) ? .role(.assistant) : nil)
    }

    /// The roles with some of their names, for messages.
    static var list: String {
        known.map { meaning, names in
            let others = names.filter { $0 != meaning.name }
            return "\(meaning.name) (\(others.prefix(4).joined(separator: ", "))\(others.count > 4 ? ", …" : ""))"
        }
        .joined(separator: ", ")
    }

    private static func normalized(_ name: some Collection<UInt8>) -> String {
        let text = String(decoding: name, as: UTF8.self)
        let trimmed = text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
        return String(trimmed.map { $0 == " " || $0 == "-" ? "_" : $0 }).lowercased()
    }
}
