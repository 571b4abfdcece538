import Shared

/// Byte-pair encoding over bytes: the model `BPE` behind the pre-tokenizer `ByteLevel`.
struct BytePairEncoding: Sendable {
    /// The bytes of every token of the model.
    ///
    /// Only tokens written in GPT-2's alphabet are searched.
    let vocabulary: Vocabulary
    let merges: MergeTable
    /// The token of each byte, -1 where the vocabulary has none: such a byte is left out, as Hugging Face does it.
    let byteTokens: [Int32]
    /// Whether a byte that UTF-8 can contain has no token.
    let hasGaps: Bool
    /// Whether a word that is a token stays whole, however merges would make it.
    let ignoresMerges: Bool

    static let supported = ["BPE"]

    init(_ node: JSONNode) throws(JSONError) {
        // Old files leave the type out.
        if node["type"] != nil, try node.string("type") != "BPE" {
            throw try node.unsupportedType(supported: Self.supported)
        }
        try Self.refuseUnsupported(node)
        ignoresMerges = try node.bool("ignore_merges", default: false)

        let vocabNode = try node.required("vocab")
        let vocabulary = try Self.loadVocabulary(vocabNode)
        self.vocabulary = vocabulary
        let byteTokens = (UInt8.min...UInt8.max).map { vocabulary.id(of: [$0]) ?? -1 }
        self.byteTokens = byteTokens
        let missing = (UInt8.min...UInt8.max).filter { byte in
            byteTokens[Int(byte)] < 0 && !(0xC0...0xC1).contains(byte) && byte < 0xF5
        }
        hasGaps = !missing.isEmpty
        if hasGaps, node["unk_token"] != nil {
            throw try node.unsupported(
                "unk_token", "for the \(missing.count) bytes without a token",
                supported: "null, or a token for each byte")
        }
        merges = try Self.loadMerges(try node.required("merges"), vocabulary)
    }

    private static func refuseUnsupported(_ node: JSONNode) throws(JSONError) {
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            let affix = try node.string(key, default: "")
            if !affix.isEmpty { throw try node.unsupported(key, "'\(affix)'", supported: "none") }
        }
        let dropout = try node.double("dropout", default: 0)
        if dropout != 0 { throw try node.unsupported("dropout", "\(dropout)", supported: "0") }
        if try node.bool("byte_fallback", default: false) {
            throw try node.unsupported("byte_fallback", "true", supported: "false")
        }
    }

    private static func loadVocabulary(_ node: JSONNode) throws(JSONError) -> Vocabulary {
        var vocabulary = Vocabulary(capacity: 1 << 17)
        var bytes: [UInt8] = []
        for member in node.value.members {
            guard let id = member.value.int, id >= 0, id < 1 << 28 else {
                throw node.error("has no id for '\(String(decoding: member.key, as: UTF8.self))'")
            }
            bytes.removeAll(keepingCapacity: true)
            // What isn't in the alphabet is an added token's text; no word ever has it.
            let isOfAlphabet = ByteAlphabet.decode(member.key, into: &bytes)
            vocabulary.set(id, isOfAlphabet ? bytes : Array(member.key), isSearched: isOfAlphabet)
        }
        return vocabulary
    }

    /// Merges are strings `a b` or pairs `["a", "b"]`.
    private static func loadMerges(
        _ node: JSONNode, _ vocabulary: Vocabulary
    ) throws(JSONError) -> MergeTable {
        var merges: [(left: Int32, right: Int32, merged: Int32)] = []
        var bytes: [UInt8] = []
        for element in node.value.elements {
            let pair: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>)
            if let text = element.utf8 {
                guard let space = text.firstIndex(of: UInt8(ascii: " ")) else {
                    throw node.error("has '\(element.string ?? "")', should have two tokens with a space between")
                }
                pair = (
                    UnsafeBufferPointer(rebasing: text[..<space]), UnsafeBufferPointer(rebasing: text[(space + 1)...])
                )
            } else {
                let parts = element.elements.compactMap(\.utf8)
                guard parts.count == 2 else { throw node.error("has an element that isn't a pair of tokens") }
                pair = (parts[0], parts[1])
            }
            func error(_ what: String) -> JSONError {
                let (left, right) = (String(decoding: pair.0, as: UTF8.self), String(decoding: pair.1, as: UTF8.self))
                return node.error("has '\(left) \(right)' at \(merges.count), \(what)")
            }
            bytes.removeAll(keepingCapacity: true)
            guard ByteAlphabet.decode(pair.0, into: &bytes) else { throw error("which isn't written in bytes") }
            let middle = bytes.count
            guard ByteAlphabet.decode(pair.1, into: &bytes) else { throw error("which isn't written in bytes") }
            guard
                let left = bytes.withUnsafeBufferPointer({
                    vocabulary.id(of: UnsafeBufferPointer(rebasing: $0[..<middle]))
                }),
                let right = bytes.withUnsafeBufferPointer({
                    vocabulary.id(of: UnsafeBufferPointer(rebasing: $0[middle...]))
                }),
                let merged = vocabulary.id(of: bytes)
            else { throw error("of which a part or the whole isn't in the vocabulary") }
            merges.append((left, right, merged))
        }
        return MergeTable(merges)
    }
}
