import Shared

/// `Preprocess tokenize`: texts in, ids out; or, with --decode, ids in and texts out.
struct TokenizeOptions: Options {
    static let summary =
        "Reads a JSON string a line and writes its token ids, a JSON array a line; no special tokens are added."

    @Option(
        "The target model: a directory with tokenizer.json, tokenizer.model or tekken.json, or a GGUF file.",
        value: "DIR|GGUF")
    var targetModelPath: String
    @Flag("Read arrays of ids and write strings.") var decode
    @Flag("Write how many texts, bytes and tokens there were and the CPU's seconds for encoding, instead of ids.")
    var measure

    func validate() throws(OptionsError) {
        if decode && measure { throw .rule("--measure is about encoding, and --decode doesn't encode") }
    }
}

enum TokenizeCommand {
    static let command = Command("tokenize", TokenizeOptions.self, body: run)

    @Sendable private static func run(_ options: TokenizeOptions) throws {
        let tokenizer = try Tokenizer(ModelFiles(options.targetModelPath))
        if options.decode {
            try decode(tokenizer)
        } else if options.measure {
            try measure(tokenizer)
        } else {
            try encode(tokenizer)
        }
    }

    private static func encode(_ tokenizer: Tokenizer) throws {
        let encoder = tokenizer.makeEncoder()
        let encoded = EncodedText()
        try JSONLines.answer { value, output in
            guard let text = value.utf8 else { throw LineInputError(message: "is no JSON string") }
            try encoder.encode(text, into: encoded)
            output.append(encoded.ids)
        }
    }

    /// Encodes all of standard input on one thread and prints, as a JSON object, the CPU time of that alone.
    private static func measure(_ tokenizer: Tokenizer) throws {
        let encoder = tokenizer.makeEncoder()
        let encoded = EncodedText()
        var (texts, bytes, tokens, seconds) = (0, 0, 0, 0.0)
        try JSONLines.read { value in
            guard let text = value.utf8 else { throw LineInputError(message: "is no JSON string") }
            let start = threadSeconds
            try encoder.encode(text, into: encoded)
            seconds += threadSeconds - start
            (texts, bytes, tokens) = (texts + 1, bytes + text.count, tokens + encoded.count)
        }
        var output = LineOutput()
        let counts = "\"texts\": \(texts), \"bytes\": \(bytes), \"tokens\": \(tokens)"
        output.append("{\(counts), \"cpu_seconds\": \(seconds)}")
        try output.endLine()
        try output.flush()
    }

    private static func decode(_ tokenizer: Tokenizer) throws {
        try JSONLines.answer { value, output in
            let ids = value.elements.compactMap(\.int)
            guard value.kind == .array, ids.count == value.elements.reduce(0, { n, _ in n + 1 }) else {
                throw LineInputError(message: "is no JSON array of token ids")
            }
            if let stray = ids.first(where: { !tokenizer.hasToken($0) }) {
                throw LineInputError(
                    message: "\(stray) is no token's id; the vocabulary's size is \(tokenizer.vocabSize)")
            }
            output.append(quoting: try tokenizer.decode(ids))
        }
    }
}
