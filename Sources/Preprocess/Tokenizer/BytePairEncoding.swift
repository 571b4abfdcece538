import Shared

/// Byte-pair encoding: the model `BPE`, over bytes after the pre-tokenizer `ByteLevel` and over characters otherwise.
struct BytePairEncoding: Sendable {
    /// The text of every token of the model; bytes where words are bytes.
    ///
    /// Of those, only tokens written in GPT-2's alphabet are searched.
    let vocabulary: Vocabulary
    let merges: MergeTable
    /// Whether words are bytes.
    let isByteLevel: Bool
    /// The token of each byte, -1 where the vocabulary has none.
    let byteTokens: [Int32]
    /// Whether every byte has a token, so that nothing is ever unknown.
    let knowsEveryByte: Bool
    /// Whether a word that is a token stays whole, however merges would make it.
    let ignoresMerges: Bool
    /// What a character without a token becomes; nothing if there is no such token, as Hugging Face does it.
    let unknownToken: Int32?
    /// Whether unknown characters in a row are one unknown token.
    let fusesUnknown: Bool
    let byteFallback: ByteFallback?
    /// What stands before each character but a word's first, and after its last, in the vocabulary.
    let prefix: [UInt8]
    let suffix: [UInt8]
    /// How many bytes of a word each token stands for.
    let lengths: [Int32]
    let wordBoundary: MetaspaceBoundary?

    init(_ node: JSONNode, isByteLevel: Bool) throws(JSONError) {
        let dropout = try node.double("dropout", default: 0)
        if dropout != 0 { throw try node.unsupported("dropout", "\(dropout)", supported: "0") }
        self.isByteLevel = isByteLevel
        ignoresMerges = try node.bool("ignore_merges", default: false)
        fusesUnknown = try node.bool("fuse_unk", default: false)
        prefix = Array(try node.string("continuing_subword_prefix", default: "").utf8)
        suffix = Array(try node.string("end_of_word_suffix", default: "").utf8)

        let vocabulary = try Self.loadVocabulary(try node.required("vocab"), isByteLevel: isByteLevel)
        self.vocabulary = vocabulary
        byteTokens = (UInt8.min...UInt8.max).map { isByteLevel ? vocabulary.id(of: [$0]) ?? -1 : -1 }
        let missing = zip(UInt8.min...UInt8.max, byteTokens).filter { $0.0.canBeOfUTF8 && $0.1 < 0 }.count
        knowsEveryByte = isByteLevel && missing == 0 && prefix.isEmpty && suffix.isEmpty
        byteFallback = try ByteFallback(node, vocabulary)
        if isByteLevel, byteFallback != nil {
            throw try node.unsupported("byte_fallback", "true after the pre-tokenizer ByteLevel", supported: "false")
        }
        unknownToken = try Self.loadUnknownToken(node, vocabulary, isNeeded: !knowsEveryByte)
        let merges: [MergeTable.Rule]
        if let scores = node[ScoredMerges.key] {
            guard isByteLevel || byteFallback != nil || unknownToken != nil else {
                throw scores.error("need a token for each byte: <0x00> to <0xFF>")
            }
            merges = try ScoredMerges.rules(scores, vocabulary, ofBytes: isByteLevel)
        } else {
            merges = try Self.loadMerges(try node.required("merges"), vocabulary, isByteLevel, prefix: prefix)
        }
        self.merges = MergeTable(merges)
        lengths = Self.lengths(vocabulary, byteFallback, prefix: prefix, suffix: suffix)
        wordBoundary = Self.wordBoundary(vocabulary, merges, byteFallback, unknownToken, isByteLevel, prefix + suffix)
    }

    private static func loadVocabulary(_ node: JSONNode, isByteLevel: Bool) throws(JSONError) -> Vocabulary {
        var vocabulary = Vocabulary(capacity: 1 << 17)
        var bytes: [UInt8] = []
        for member in node.value.members {
            guard let id = member.value.int, id >= 0, id < Vocabulary.limit else {
                throw node.error("has no id for '\(String(decoding: member.key, as: UTF8.self))'")
            }
            if let other = vocabulary.bytes(of: id) {
                throw node.error(
                    "has the id \(id) for '\(String(decoding: member.key, as: UTF8.self))' and for "
                        + "'\(String(decoding: other, as: UTF8.self))'")
            }
            bytes.removeAll(keepingCapacity: true)
            // What isn't in the alphabet is an added token's text; no word ever has it.
            let isWord = !isByteLevel || ByteAlphabet.decode(member.key, into: &bytes)
            vocabulary.set(id, isByteLevel && isWord ? bytes : Array(member.key), isSearched: isWord)
        }
        return vocabulary
    }

    private static func loadUnknownToken(
        _ node: JSONNode, _ vocabulary: Vocabulary, isNeeded: Bool
    ) throws(JSONError) -> Int32? {
        guard isNeeded, let token = node["unk_token"] else { return nil }
        let text = Array(try token.asString().utf8)
        // After ByteLevel, it needn't be written in the alphabet.
        for id in 0..<vocabulary.count where vocabulary.bytes(of: id)?.elementsEqual(text) ?? false { return Int32(id) }
        throw token.error("'\(try token.asString())' isn't in the vocabulary")
    }

    /// Merges are strings `a b` or pairs `["a", "b"]`.
    private static func loadMerges(
        _ node: JSONNode, _ vocabulary: Vocabulary, _ isByteLevel: Bool, prefix: [UInt8]
    ) throws(JSONError) -> [MergeTable.Rule] {
        var merges: [MergeTable.Rule] = []
        var bytes: [UInt8] = []
        func append(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
            if isByteLevel { return ByteAlphabet.decode(text, into: &bytes) }
            bytes += text
            return true
        }
        for element in node.value.elements {
            let (first, second) = try parts(element, node)
            func error(_ what: String) -> JSONError {
                let (left, right) = (String(decoding: first, as: UTF8.self), String(decoding: second, as: UTF8.self))
                return node.error("has '\(left) \(right)' at \(merges.count), \(what)")
            }
            bytes.removeAll(keepingCapacity: true)
            guard append(first) else { throw error("which isn't written in bytes") }
            let middle = bytes.count
            guard append(second) else { throw error("which isn't written in bytes") }
            func id(_ range: Range<Int>) -> Int32? {
                bytes.withUnsafeBufferPointer { vocabulary.id(of: UnsafeBufferPointer(rebasing: $0[range])) }
            }
            let (left, right) = (id(0..<middle), id(middle..<bytes.count))
            guard bytes.count - middle >= prefix.count else { throw error("without the prefix of its second part") }
            bytes.removeSubrange(middle..<middle + prefix.count)
            guard let left, let right, let merged = id(0..<bytes.count) else {
                throw error("of which a part or the whole isn't in the vocabulary")
            }
            merges.append((left, right, merged, UInt32(merges.count)))
        }
        return merges
    }

    private static func parts(
        _ element: JSONValue, _ node: JSONNode
    ) throws(JSONError) -> (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>) {
        if let text = element.utf8 {
            guard let space = text.firstIndex(of: UInt8(ascii: " ")) else {
                throw node.error("has '\(element.string ?? "")', should have two tokens with a space between")
            }
            let (left, right) = (text[..<space], text[(space + 1)...])
            return (UnsafeBufferPointer(rebasing: left), UnsafeBufferPointer(rebasing: right))
        }
        let parts = element.elements.compactMap(\.utf8)
        guard parts.count == 2 else { throw node.error("has an element that isn't a pair of tokens") }
        return (parts[0], parts[1])
    }

    private static func lengths(
        _ vocabulary: Vocabulary, _ fallback: ByteFallback?, prefix: [UInt8], suffix: [UInt8]
    ) -> [Int32] {
        var lengths = vocabulary.lengths
        for id in fallback?.tokens ?? [] where id >= 0 { lengths[Int(id)] = 1 }
        guard !prefix.isEmpty || !suffix.isEmpty else { return lengths }
        for id in lengths.indices {
            guard let token = vocabulary.bytes(of: id) else { continue }
            if !prefix.isEmpty, token.starts(with: prefix) { lengths[id] -= Int32(prefix.count) }
            if !suffix.isEmpty, token.suffix(suffix.count).elementsEqual(suffix) { lengths[id] -= Int32(suffix.count) }
        }
        return lengths
    }

    private static func wordBoundary(
        _ vocabulary: Vocabulary, _ merges: [MergeTable.Rule], _ fallback: ByteFallback?, _ unknown: Int32?,
        _ isByteLevel: Bool, _ affixes: [UInt8]
    ) -> MetaspaceBoundary? {
        guard !isByteLevel, affixes.isEmpty else { return nil }
        // A byte token stands for other text than its own, which may be a part of "▁" or what is before it.
        let others = Set(fallback?.tokens ?? []).union(unknown.map { [$0] } ?? [])
        guard !merges.contains(where: { others.contains($0.left) || others.contains($0.right) }) else { return nil }
        return MetaspaceBoundary(vocabulary)
    }
}
