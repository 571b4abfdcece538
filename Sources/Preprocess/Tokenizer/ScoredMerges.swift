import Shared

/// The merges of a model that lists none, as SentencePiece's and Mistral's: two neighbours become a token if their text
/// is one, that of the highest score first, of equal scores the leftmost.
///
/// As SentencePiece, llama.cpp and tiktoken do it. A tokenizer.json has the key `scores` in place of `merges` then: for
/// each id a number, or null for a token that nothing merges to.
enum ScoredMerges {
    static let key = "scores"

    /// Every way to make a token of two others, in ranks by score.
    /// - Parameter ofBytes: Whether a token's smallest parts are bytes, and not characters.
    /// - Throws: `JSONError` where such a part isn't a token by itself.
    static func rules(
        _ node: JSONNode, _ vocabulary: Vocabulary, ofBytes: Bool
    ) throws(JSONError) -> [MergeTable.Rule] {
        var scores: [Double?] = []
        for element in node.value.elements {
            guard element.isNull || element.double != nil else { throw node.error("has no number at \(scores.count)") }
            scores.append(element.double)
        }
        guard scores.count >= vocabulary.count else {
            throw node.error("has \(scores.count) elements, should have one for each of \(vocabulary.count) tokens")
        }
        let ranks = self.ranks(scores)
        let length = { @Sendable (lead: UInt8) in ofBytes ? 1 : UTF8Scalars.length(lead) }
        var rules: [MergeTable.Rule] = []
        for id in 0..<vocabulary.count {
            guard let text = vocabulary.bytes(of: id), let rank = ranks[id] else { continue }
            // Every way to divide it is looked up.
            guard text.count <= Vocabulary.longestSearched else {
                throw node.error(
                    "belong to a token of \(text.count) bytes at \(id), at most \(Vocabulary.longestSearched) are "
                        + "supported")
            }
            try text.withUnsafeBufferPointer { text throws(JSONError) in
                var middle = text.first.map(length) ?? 0
                while middle < text.count {
                    let (left, right) = (part(text, 0..<middle), part(text, middle..<text.count))
                    let isLeftSmallest = length(left[0]) >= left.count
                    let isRightSmallest = length(right[0]) >= right.count
                    switch (vocabulary.id(of: left), vocabulary.id(of: right)) {
                    case (let first?, let second?): rules.append((first, second, Int32(id), rank))
                    case (nil, _?) where isLeftSmallest, (_?, nil) where isRightSmallest,
                        (nil, nil) where isLeftSmallest && isRightSmallest:
                        throw node.error(
                            "belong to '\(String(decoding: text, as: UTF8.self))' at \(id), of which a "
                                + "\(ofBytes ? "byte" : "character") is no token, which is not supported")
                    default: break
                    }
                    middle += length(text[middle])
                }
            }
        }
        return rules
    }

    /// 0 for the highest score; the same for equal ones.
    private static func ranks(_ scores: [Double?]) -> [UInt32?] {
        let falling = Set(scores.compactMap(\.self)).sorted(by: >)
        let ranks = Dictionary(uniqueKeysWithValues: zip(falling, UInt32(0)...))
        return scores.map { $0.flatMap { ranks[$0] } }
    }

    private static func part(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: text[range])
    }
}
