import Shared

/// A question for a server, or several that follow each other's answers.
struct ServerPrompt: Sendable {
    enum Content: Equatable, Sendable {
        /// What a user says, turn by turn; a chat template is the server's affair.
        case turns([String])
        /// A prompt's tokens.
        case tokens([Int])
    }

    /// Where it stands in its file, counted from 1.
    let line: Int
    let category: String?
    let system: String?
    let content: Content
}

/// Prompts as benchmarks and data sets have them, a JSON object a line.
///
/// `turns` with a `category` are lines of MT-bench and SPEED-Bench; `conversations` and `messages` those of training
/// data, of which the user's turns are asked; `prompt` is one turn; `prompt_ids` are the tokens that
/// `Trainer evaluate --samples-output` writes.
enum PromptFile {
    /// - Throws: `JSONError` that names file and line, if a line is none of these or there is none.
    static func read(_ path: String) throws -> [ServerPrompt] {
        let lines = try readFile(path).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let prompts = try lines.enumerated().compactMap { index, line in
            let isEmpty = line.allSatisfy { [0x20, 0x09, 0x0D].contains($0) }
            return isEmpty ? nil : try prompt(Array(line), at: path, index + 1)
        }
        guard !prompts.isEmpty else { throw JSONError("has no prompts", at: path) }
        return prompts
    }

    private static func prompt(_ bytes: [UInt8], at path: String, _ line: Int) throws(JSONError) -> ServerPrompt {
        let file = try JSONFile(contents: bytes, path: "\(path):\(line)")
        let root = file.root
        var system: String?
        var turns: [String] = []
        if let ids = root["prompt_ids"] {
            let tokens = try ids.asArray().map { element throws(JSONError) in try element.asInt() }
            guard !tokens.isEmpty else { throw ids.error("is empty") }
            return ServerPrompt(line: line, category: try category(root), system: nil, content: .tokens(tokens))
        } else if let said = root["turns"] {
            for turn in try said.asArray() {
                turns.append(try (turn["content"] ?? turn).asString())
            }
        } else if let said = root["conversations"] ?? root["messages"] {
            for message in try said.asArray() {
                let role = try message.string(message["role"] == nil ? "from" : "role")
                let text = message["content"] ?? message["value"]
                guard let text else { continue }
                if ["user", "human"].contains(role) { turns.append(try text.asString()) }
                if role == "system" { system = try text.asString() }
            }
        } else if let prompt = root["prompt"] {
            turns = [try prompt.asString()]
        } else {
            throw JSONError(
                "should have one of turns, conversations, messages, prompt and prompt_ids", at: "\(path):\(line)")
        }
        guard !turns.isEmpty else { throw JSONError("has no turn of a user", at: "\(path):\(line)") }
        return ServerPrompt(line: line, category: try category(root), system: system, content: .turns(turns))
    }

    private static func category(_ root: JSONNode) throws(JSONError) -> String? {
        guard let node = root["category"] else { return nil }
        return try node.asString()
    }
}
