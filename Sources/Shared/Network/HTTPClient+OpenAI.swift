@preconcurrency import Glibc

/// What servers of OpenAI's protocol have in common: llama.cpp's, vLLM's, SGLang's and others.
extension HTTPClient {
    /// The key that such servers may ask for, from the environment variable OPENAI_API_KEY.
    public static var openAIKey: String? { getenv("OPENAI_API_KEY").map { String(cString: $0) } }

    /// A base URL as users have it for OpenAI's clients, without `/v1` and slashes at its end: paths begin with them.
    public static func withoutVersion(_ url: String) -> String {
        var plain = url[...]
        while plain.last == "/" { plain.removeLast() }
        return String(plain.hasSuffix("/v1") ? plain.dropLast(3) : plain)
    }

    /// The model that the server lists first.
    ///
    /// - Throws: `HTTPError`; `JSONError` for what is no list, or an empty one.
    public func firstModel() throws -> String {
        let data = try get("/v1/models").json().root.required("data")
        guard let first = try data.asArray().first else { throw data.error("lists no model") }
        return try first.string("id")
    }
}
