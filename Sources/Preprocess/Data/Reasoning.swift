import Shared

/// The thoughts of a message, under each of the names that engines and datasets give them.
enum Reasoning {
    /// DeepSeek's, llama.cpp's and most templates' name; vLLM's and OpenRouter's; gpt-oss's.
    static let keys = ["reasoning_content", "reasoning", "thinking"]

    /// What a message thinks before its content; nil where nothing is there.
    ///
    /// An empty text is nothing.
    /// - Throws: `Rejection` for what is no text, and for two names that say different things.
    static func of(_ message: JSONValue, at index: Int) throws(Rejection) -> [UInt8]? {
        var found: (key: String, text: [UInt8])?
        for key in keys {
            guard let value = message[key], !value.isNull else { continue }
            guard let text = value.utf8 else {
                throw Rejection(
                    .unsupportedContent,
                    "message \(index) has a '\(key)' that is \(value.kind.withArticle), should be a string")
            }
            guard !text.isEmpty else { continue }
            if let found, !found.text.elementsEqual(text) {
                throw Rejection(
                    .unsupportedContent, "message \(index) has different texts in '\(found.key)' and '\(key)'")
            }
            found = found ?? (key, Array(text))
        }
        return found?.text
    }
}
