/// A digest of all tokens of a tokenizer, whatever kind of file they are read from.
///
/// Of each token in the order of ids: the id and the number of the text's bytes, as little-endian 32-bit integers, and
/// the text as the file has it.
enum VocabularyDigest {
    /// Of `tokenizer.json`, and the tokens that `tokenizer_config.json` adds; nil for a form without a vocabulary.
    static func of(_ tokenizer: JSONNode, config: JSONNode?) throws(JSONError) -> Digest? {
        guard let vocabulary = tokenizer["model"]?["vocab"] else { return nil }
        var texts = Texts()
        if vocabulary.value.kind == .array {
            for (id, entry) in vocabulary.value.elements.enumerated() {
                var elements = entry.elements
                try texts.set(id, elements.next()?.utf8, vocabulary)
            }
        } else {
            for (text, id) in vocabulary.value.members { try texts.set(id.int, text, vocabulary) }
        }
        for node in tokenizer["added_tokens"]?.elements ?? [] {
            try texts.set(node.value["id"]?.int, node.value["content"]?.utf8, node)
        }
        for (key, node) in config?["added_tokens_decoder"]?.members ?? [] {
            try texts.set(Int(key), node.value["content"]?.utf8, node)
        }
        return texts.digest
    }

    /// Of a GGUF file's tokens, but for those that fill up the vocabulary.
    static func of(_ file: GGUFFile) throws(JSONError) -> Digest? {
        guard let tokens = file.metadata["tokenizer.ggml.tokens"]?.array else { return nil }
        var texts = Texts()
        for (id, token) in tokens.enumerated() {
            guard let text = token.string else { return nil }
            if text != "[PAD\(id)]" { texts.set(id, Array(text.utf8)) }
        }
        return texts.digest
    }

    private struct Texts {
        private var byID: [[UInt8]?] = []

        mutating func set(
            _ id: Int?, _ text: UnsafeBufferPointer<UInt8>?, _ node: JSONNode
        ) throws(JSONError) {
            guard let id, ModelConfiguration.vocabSizes.contains(id &+ 1), let text else {
                throw node.error("has a token without a text, or an id that no vocabulary has")
            }
            set(id, Array(text))
        }

        mutating func set(_ id: Int, _ text: [UInt8]) {
            if id >= byID.count { byID += repeatElement(nil, count: id + 1 - byID.count) }
            byID[id] = text
        }

        var digest: Digest {
            var bytes: [UInt8] = []
            for (id, text) in byID.enumerated() {
                guard let text else { continue }
                for number in [UInt32(id), UInt32(text.count)] {
                    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
                }
                bytes += text
            }
            return Digest(of: bytes)
        }
    }
}
