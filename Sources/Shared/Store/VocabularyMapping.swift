/// Why no draft vocabulary can be derived.
public struct VocabularyError: Error, Equatable, CustomStringConvertible {
    public let description: String
}

/// Which of the target's tokens the draft can predict.
///
/// Draft ids are in the order of target ids, so that the target's columns where `targetHasDraft` is true are in
/// the draft's order.
public struct VocabularyMapping: Equatable, Sendable {
    /// The target's id of each draft id, ascending: [draftVocabSize].
    public let draftToTarget: [Int32]
    public let vocabSize: Int
    /// Of the supervised tokens, the share that the draft has.
    public let coverage: Double

    public var draftVocabSize: Int { draftToTarget.count }

    /// The tokens that occur most often among the supervised ones.
    ///
    /// See `order` for which enter first: ids that never occur fill what is left in ascending order.
    /// - Parameters:
    ///   - counts: How often each token of the target's vocabulary is supervised: [vocabSize].
    ///   - always: Tokens that are in it whatever their count: those that begin and end texts and turns.
    /// - Throws: `VocabularyError` if the size doesn't fit.
    public static func derive(
        counts: [UInt64], draftVocabSize: Int, always: [Int32]
    ) throws(VocabularyError) -> VocabularyMapping {
        let forced = Set(always.map(Int.init)).sorted()
        guard draftVocabSize <= counts.count else {
            throw VocabularyError(
                description: "draft vocabulary size \(draftVocabSize) is larger than the target's vocabulary, "
                    + "\(counts.count)")
        }
        guard draftVocabSize >= max(1, forced.count) else {
            throw VocabularyError(
                description: "draft vocabulary size \(draftVocabSize) should be at least \(max(1, forced.count)), "
                    + "for the tokens that are always in it")
        }
        if let stray = forced.first(where: { !counts.indices.contains($0) }) {
            throw VocabularyError(
                description: "token \(stray), which is always in the draft vocabulary, should be below \(counts.count)")
        }
        let chosen = order(counts: counts, always: always).prefix(draftVocabSize)
        return VocabularyMapping(draftToTarget: chosen.sorted().map(Int32.init), counts: counts)
    }

    /// The target's tokens in the order in which they enter a draft vocabulary: those that are always in it, then by
    /// frequency, equally frequent ones ascending.
    ///
    /// - Parameters:
    ///   - counts: How often each token is supervised: [vocabSize].
    ///   - always: Ids below vocabSize.
    /// - Returns: Every id once: [vocabSize].
    public static func order(counts: [UInt64], always: [Int32]) -> [Int] {
        var isAlways = [Bool](repeating: false, count: counts.count)
        for id in always { isAlways[Int(id)] = true }
        return counts.indices.filter { isAlways[$0] }
            + counts.indices.filter { !isAlways[$0] }.sorted { (counts[$1], $0) < (counts[$0], $1) }
    }

    /// A mapping that is known, of ascending ids below the number of counts.
    public init(draftToTarget: [Int32], counts: [UInt64]) {
        self.draftToTarget = draftToTarget
        vocabSize = counts.count
        let total = counts.reduce(0, +)
        let covered = draftToTarget.reduce(into: UInt64(0)) { $0 += counts[Int($1)] }
        coverage = total > 0 ? Double(covered) / Double(total) : 0
    }

    /// How many of its tokens never occur among the supervised ones, by these counts: ids that fill what is left.
    public func unusedCount(_ counts: [UInt64]) -> Int { draftToTarget.count { counts[Int($0)] == 0 } }

    /// What is added to a draft id to get the target's, as in checkpoints' `d2t`: [draftVocabSize].
    public var draftToTargetOffsets: [Int64] { draftToTarget.enumerated().map { Int64($1) - Int64($0) } }

    /// Whether the draft has each of the target's tokens, as in checkpoints' `t2d`: [vocabSize].
    public var targetHasDraft: [Bool] {
        var has = [Bool](repeating: false, count: vocabSize)
        for id in draftToTarget { has[Int(id)] = true }
        return has
    }

    /// The draft's id of a token of the target, if it has one.
    public func targetToDraft(_ id: Int32) -> Int32? {
        var (low, high) = (0, draftToTarget.count)
        while low < high {
            let middle = (low + high) / 2
            if draftToTarget[middle] < id { low = middle + 1 } else { high = middle }
        }
        return low < draftToTarget.count && draftToTarget[low] == id ? Int32(low) : nil
    }
}
