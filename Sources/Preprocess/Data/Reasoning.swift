import Shared

/// The thoughts of a message, under each of the names that engines and datasets give them.
enum Reasoning {
    /// DeepSeek's, llama.cpp's and most templates' name; vLLM's and OpenRouter's; gpt-oss's.
    static let keys = ["reasoning_content", "reasoning", "thinking"]
    /// What ends thoughts that are in an answer's content.
    static let end = Array("</think>".utf8)

    /// What a message thinks before its content; nil where nothing is there.
    ///
    /// An empty text is nothing.
    /// - Throws: `Rejection` for what is no text, and for two names that say different things.
    static func of(_ message: JSONValue, at index: Int) throws(Rejection) -> [UInt8]? {
        try find(message, "message \(index)") { _ in false }
    }

    /// What a row has in a column of its own beside a question and its answer; nil where nothing is there.
    ///
    /// A single word isn't a thought: `"reasoning": "on"` says of some datasets' rows that there are thoughts.
    static func ofRow(_ row: JSONValue) throws(Rejection) -> [UInt8]? {
        try find(row, "the row") { value in
            value.kind != .string || value.utf8.map { !$0.contains(where: isJSONSpace) } ?? false
        }
    }

    private static func find(
        _ owner: JSONValue, _ name: String, except isSetting: (JSONValue) -> Bool
    ) throws(Rejection) -> [UInt8]? {
        var found: (key: String, text: [UInt8])?
        for key in keys {
            guard let value = owner[key], !value.isNull, !isSetting(value) else { continue }
            guard let text = value.utf8 else {
                throw Rejection(
                    .unsupportedContent,
                    "\(name) has a '\(key)' that is \(value.kind.withArticle), should be a string")
            }
            guard !text.isEmpty else { continue }
            if let found, !found.text.elementsEqual(text) {
                throw Rejection(
                    .unsupportedContent, "\(name) has different texts in '\(found.key)' and '\(key)'")
            }
            found = found ?? (key, Array(text))
        }
        return found?.text
    }
}
