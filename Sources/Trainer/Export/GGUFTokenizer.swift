import Shared

/// The tokens of a target, as metadata of a draft's GGUF file.
///
/// llama.cpp takes the size of the draft's vocabulary, and the texts and kinds of its tokens, from them. It never splits
/// a text with a draft's file.
enum GGUFTokenizer {
    private static let prefix = "tokenizer."
    private static let maskKey = "tokenizer.ggml.mask_token_id"

    /// What a token is, by ggml's numbers.
    private enum Kind {
        static let normal: Int32 = 1
        static let unknown: Int32 = 2
        static let control: Int32 = 3
        static let userDefined: Int32 = 4
        static let unused: Int32 = 5
        static let byte: Int32 = 6
    }

    /// Copies the entries of a GGUF target byte for byte, or makes them of a directory's `tokenizer.json`.
    ///
    /// - Parameter maskToken: The draft's, which counts whatever the target's is.
    /// - Throws: `WeightsError` or `JSONError` if there is no such tokenizer, or it is another vocabulary's.
    static func append(
        _ files: TargetFiles, _ target: ModelConfiguration, maskToken: Int32?, to metadata: inout GGUFMetadata
    ) throws {
        if let maskToken { metadata.append(maskKey, UInt32(maskToken)) }
        if let gguf = files.gguf {
            guard let tokens = gguf.metadata["tokenizer.ggml.tokens"]?.array else {
                throw WeightsError(gguf.path, "has no tokenizer.ggml.tokens, which a draft's file needs")
            }
            guard tokens.count == target.vocabSize else {
                throw WeightsError(
                    gguf.path,
                    "has \(tokens.count) tokens in tokenizer.ggml.tokens, should have the model's "
                        + "\(target.vocabSize)")
            }
            return metadata.append(
                copied: gguf.entries(prefix: prefix, except: maskToken == nil ? nil : maskKey))
        }
        guard let file = try files.json("tokenizer.json") else {
            throw WeightsError(
                files.path,
                "has no tokenizer.json: give the target as the GGUF file that llama.cpp serves, whose tokens "
                    + "are copied")
        }
        try append(file.root, target, to: &metadata)
    }

    /// Makes the entries: `gpt2` for byte-level BPE, else `llama`, with scores in the order of ids.
    private static func append(
        _ root: JSONNode, _ target: ModelConfiguration, to metadata: inout GGUFMetadata
    ) throws(JSONError) {
        let model = try root.required("model")
        let vocabulary = try Vocabulary(root, size: target.vocabSize)
        let hasBytes = try model.bool("byte_fallback", default: false)
        let isByteLevel = try model.string("type", default: "BPE") == "BPE" && !hasBytes
        metadata.append("tokenizer.ggml.model", isByteLevel ? "gpt2" : "llama")
        metadata.append("tokenizer.ggml.pre", "default")
        metadata.append("tokenizer.ggml.tokens", vocabulary.texts)
        metadata.append("tokenizer.ggml.token_type", vocabulary.kinds)
        if isByteLevel {
            metadata.append("tokenizer.ggml.merges", try merges(model))
        } else {
            metadata.append("tokenizer.ggml.scores", (0..<target.vocabSize).map { -Float($0) })
        }
        let special = [
            ("bos", target.bosTokenID), ("eos", target.eosTokenIDs.first), ("padding", target.padTokenID),
        ]
        for (name, id) in special {
            if let id, id < target.vocabSize { metadata.append("tokenizer.ggml.\(name)_token_id", UInt32(id)) }
        }
    }

    /// Pairs that merge, one a line: written so, or as lists of two.
    private static func merges(_ model: JSONNode) throws(JSONError) -> [String] {
        try (model["merges"]?.elements ?? []).map { element throws(JSONError) in
            guard element.value.kind == .array else { return try element.asString() }
            return try element.elements.map { part throws(JSONError) in try part.asString() }.joined(separator: " ")
        }
    }

    private struct Vocabulary {
        var texts: [[UInt8]]
        var kinds: [Int32]

        /// Texts are taken as bytes: strings of the same characters needn't be the same text.
        init(_ root: JSONNode, size: Int) throws(JSONError) {
            texts = (0..<size).map { Array("[PAD\($0)]".utf8) }
            kinds = [Int32](repeating: Kind.unused, count: size)
            let vocabulary = try root.required("model").required("vocab")
            let unknown = Array((try? root.required("model").string("unk_token")).map { $0.utf8 } ?? "".utf8)
            func set(_ id: Int?, _ text: UnsafeBufferPointer<UInt8>?, _ node: JSONNode, _ kind: Int32)
                throws(JSONError)
            {
                guard let id, texts.indices.contains(id), let text else {
                    throw node.error(
                        "has the token \(id.map { "\($0)" } ?? "without an id"), should have ids below vocab_size, "
                            + "\(size): it is another model's")
                }
                texts[id] = Array(text)
                kinds[id] = kind
            }
            func kind(_ text: UnsafeBufferPointer<UInt8>?) -> Int32 {
                guard let text else { return Kind.normal }
                if text.count == 6, text.starts(with: "<0x".utf8) { return Kind.byte }
                return !unknown.isEmpty && text.elementsEqual(unknown) ? Kind.unknown : Kind.normal
            }
            if vocabulary.value.kind == .array {
                for (id, entry) in vocabulary.value.elements.enumerated() {
                    var elements = entry.elements
                    let text = elements.next()?.utf8
                    try set(id, text, vocabulary, kind(text))
                }
            } else {
                for (text, id) in vocabulary.value.members { try set(id.int, text, vocabulary, kind(text)) }
            }
            for node in root["added_tokens"]?.elements ?? [] {
                let isSpecial = try node.bool("special", default: false)
                try set(
                    node.value["id"]?.int, node.value["content"]?.utf8, node,
                    isSpecial ? Kind.control : Kind.userDefined)
            }
        }
    }
}
