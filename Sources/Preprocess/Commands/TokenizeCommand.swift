import Shared

/// `Preprocess tokenize`: texts in, ids out; or the way back.
struct TokenizeOptions: Options {
    static let summary =
        "Reads a JSON string a line and writes its token ids, a JSON array a line; no special tokens are added."

    @Option("Directory of the target model, with tokenizer.json.", value: "DIR") var targetModelPath: String
    @Flag("Read arrays of ids and write strings.") var decode
}

enum TokenizeCommand {
    static let command = Command("tokenize", TokenizeOptions.self, body: run)

    @Sendable private static func run(_ options: TokenizeOptions) throws {
        let tokenizer = try Tokenizer(modelDirectory: options.targetModelPath)
        if options.decode {
            try decode(tokenizer)
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

    private static func decode(_ tokenizer: Tokenizer) throws {
        try JSONLines.answer { value, output in
            let ids = value.elements.compactMap(\.int)
            guard value.kind == .array, ids.count == value.elements.reduce(0, { n, _ in n + 1 }) else {
                throw LineInputError(message: "is no JSON array of token ids")
            }
            output.append(quoting: try tokenizer.decode(ids))
        }
    }
}
