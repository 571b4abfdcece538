import Shared

/// The merges of a SentencePiece model, which has none of its own: two neighbours become a token if their text is one,
/// that of the highest score first, of equal scores the leftmost.
///
/// As llama.cpp does it. A tokenizer.json has the key `scores` in place of `merges` then: for each id a number, or null for
/// a token that nothing merges to.
enum ScoredMerges {
    static let key = "scores"

    /// Every way to make a token of two others, in ranks by score.
    /// - Throws: `JSONError` where a character without a token would have to be a part.
    static func rules(_ node: JSONNode, _ vocabulary: Vocabulary) throws(JSONError) -> [MergeTable.Rule] {
        var scores: [Double?] = []
        for element in node.value.elements {
            guard element.isNull || element.double != nil else { throw node.error("has no number at \(scores.count)") }
            scores.append(element.double)
        }
        guard scores.count >= vocabulary.count else {
            throw node.error("has \(scores.count) elements, should have one for each of \(vocabulary.count) tokens")
        }
        let ranks = self.ranks(scores)
        var rules: [MergeTable.Rule] = []
        for id in 0..<vocabulary.count {
            guard let text = vocabulary.bytes(of: id), let rank = ranks[id] else { continue }
            try text.withUnsafeBufferPointer { text throws(JSONError) in
                var middle = text.first.map { UTF8Scalars.length($0) } ?? 0
                while middle < text.count {
                    let (left, right) = (part(text, 0..<middle), part(text, middle..<text.count))
                    switch (vocabulary.id(of: left), vocabulary.id(of: right)) {
                    case (let first?, let second?): rules.append((first, second, Int32(id), rank))
                    case (nil, _?) where isScalar(left), (_?, nil) where isScalar(right),
                        (nil, nil) where isScalar(left) && isScalar(right):
                        throw node.error(
                            "belong to '\(String(decoding: text, as: UTF8.self))' at \(id), of which a character is no "
                                + "token, which is not supported")
                    default: break
                    }
                    middle += UTF8Scalars.length(text[middle])
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

    private static func isScalar(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        UTF8Scalars.length(text[0]) >= text.count
    }
}
