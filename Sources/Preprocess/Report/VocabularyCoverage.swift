import Shared

/// Which share of the supervised tokens a draft vocabulary of any size has, from a store's counts.
struct VocabularyCoverage {
    /// Supervised tokens of the dataset that the vocabulary is derived from, added up by the order in which tokens enter it.
    private let cumulated: [UInt64]
    /// The same of other data, with the vocabulary of the first.
    private let heldOut: [UInt64]?
    /// The smallest size that has all tokens that are always in it.
    let smallest: Int
    let vocabSize: Int
    /// Tokens that are supervised somewhere.
    let distinctTokens: Int

    /// - Parameters:
    ///   - counts: How often each token is supervised: [vocabSize].
    ///   - always: Tokens that are in every vocabulary.
    ///   - heldOut: How often each is in data that the vocabulary isn't derived from: [vocabSize].
    init(counts: [UInt64], always: [Int32], heldOut: [UInt64]? = nil) {
        let order = VocabularyMapping.order(counts: counts, always: always)
        smallest = max(1, Set(always).count)
        vocabSize = counts.count
        distinctTokens = counts.count { $0 > 0 }
        cumulated = Self.cumulated(counts, order)
        self.heldOut = heldOut.map { Self.cumulated($0, order) }
    }

    private static func cumulated(_ counts: [UInt64], _ order: [Int]) -> [UInt64] {
        var sum: UInt64 = 0
        return order.map { id in
            sum += counts[id]
            return sum
        }
    }

    /// Of the supervised tokens, the share that a vocabulary of a size has; the size is from `smallest` to `vocabSize`.
    func share(draftVocabSize: Int) -> Double { Self.share(cumulated, draftVocabSize) }

    /// Of the other data's supervised tokens, the share that the vocabulary has; nil without other data.
    func heldOutShare(draftVocabSize: Int) -> Double? { heldOut.map { Self.share($0, draftVocabSize) } }

    private static func share(_ cumulated: [UInt64], _ size: Int) -> Double {
        guard let total = cumulated.last, total > 0, size > 0 else { return 0 }
        return Double(cumulated[size - 1]) / Double(total)
    }
}
