/// Merges the parts of a word to tokens: always the pair of the lowest rank, of equals the leftmost.
final class WordMerger: WordEncoder {
    private let model: BytePairEncoding
    private let merges: MergeTable
    @exclusivity(unchecked) private(set) var tokens: [Int32] = []
    @exclusivity(unchecked) private(set) var ranges: [Range<Int32>]?
    /// The first part of each token.
    @exclusivity(unchecked) private var positions: [Int32] = []
    /// Where the parts begin in the word, if that isn't plain.
    @exclusivity(unchecked) private var parts: [Int32] = []
    private var longWords = LongWordMerger()

    /// The longest word, in parts, that is merged by looking through all of its pairs for each merge.
    private static let linearLimit = 64

    init(_ model: BytePairEncoding) {
        self.model = model
        merges = model.merges
    }

    func encode(_ word: UnsafeBufferPointer<UInt8>) {
        ranges = nil
        tokens.removeAll(keepingCapacity: true)
        if model.ignoresMerges, let id = model.vocabulary.id(of: word) {
            tokens.append(id)
            if Int(model.lengths[Int(id)]) != word.count { ranges = [0..<Int32(word.count)] }
        } else if model.knowsEveryByte {
            // Else a long word's tokens would be doubled to where there is room for them.
            if word.count > Self.linearLimit { tokens.reserveCapacity(word.count) }
            model.byteTokens.withUnsafeBufferPointer { byteTokens in
                tokens.append(contentsOf: word.lazy.map { byteTokens[Int($0)] })
            }
            merge()
        } else {
            appendParts(of: word)
            merge()
            locate(in: word)
        }
    }

    private func merge() {
        let count = tokens.count
        positions.removeAll(keepingCapacity: true)
        if count > Self.linearLimit { return mergeLong() }
        positions.append(contentsOf: 0..<Int32(count))
        guard count > 1 else { return }
        let left = tokens.withUnsafeMutableBufferPointer { tokens in
            positions.withUnsafeMutableBufferPointer { positions in
                withUnsafeTemporaryAllocation(of: MergeTable.Merge.self, capacity: count) { pairs in
                    Self.mergeShort(tokens, positions, pairs, merges)
                }
            }
        }
        tokens.removeLast(count - left)
        positions.removeLast(count - left)
    }

    /// Merges tokens in place.
    ///
    /// - Parameters:
    ///   - positions: The first part of each token.
    ///   - pairs: Room for what the tokens merge to.
    /// - Returns: The number of tokens that are left.
    private static func mergeShort(
        _ tokens: UnsafeMutableBufferPointer<Int32>, _ positions: UnsafeMutableBufferPointer<Int32>,
        _ pairs: UnsafeMutableBufferPointer<MergeTable.Merge>, _ merges: MergeTable
    ) -> Int {
        var count = tokens.count
        for i in 0..<count &- 1 { pairs[i] = merges.merge(tokens[i], tokens[i &+ 1]) }
        while count > 1 {
            var best = MergeTable.none
            var bestRank = MergeTable.none
            var position = 0
            for i in 0..<count &- 1 where pairs[i] < bestRank {
                best = pairs[i]
                bestRank = MergeTable.rank(best)
                position = i
            }
            guard best != MergeTable.none else { break }
            tokens[position] = MergeTable.merged(best)
            count &-= 1
            for i in position &+ 1..<max(count, position &+ 1) {
                tokens[i] = tokens[i &+ 1]
                positions[i] = positions[i &+ 1]
            }
            for i in position..<max(count &- 1, position) { pairs[i] = pairs[i &+ 1] }
            if position > 0 { pairs[position &- 1] = merges.merge(tokens[position &- 1], tokens[position]) }
            if position < count &- 1 { pairs[position] = merges.merge(tokens[position], tokens[position &+ 1]) }
        }
        return count
    }

    private func mergeLong() {
        tokens.withUnsafeMutableBufferPointer { longWords.merge($0, merges) }
        // The positions matter only where parts have some of their own.
        if !parts.isEmpty {
            for (position, id) in tokens.enumerated() where id >= 0 { positions.append(Int32(position)) }
        }
        // In place, which removeAll(where:) isn't.
        let left = tokens.withUnsafeMutableBufferPointer { tokens in
            var left = 0
            for id in tokens where id >= 0 {
                tokens[left] = id
                left &+= 1
            }
            return left
        }
        tokens.removeLast(tokens.count - left)
    }
}

/// Words of which a part may have no token.
extension WordMerger {
    /// Begins with the word's characters, or bytes: their tokens, and where they stand.
    private func appendParts(of word: UnsafeBufferPointer<UInt8>) {
        parts.removeAll(keepingCapacity: true)
        var wasUnknown = false
        var i = 0
        while i < word.count {
            let end = endOfCharacter(at: i, in: word)
            defer { i = end }
            if let id = token(of: word, i..<end) {
                append(id, at: i)
            } else if let fallback = model.byteFallback {
                for position in i..<end { append(fallback.tokens[Int(word[position])], at: position) }
            } else if let unknown = model.unknownToken {
                if !wasUnknown || !model.fusesUnknown { append(unknown, at: i) }
                wasUnknown = true
                continue
            } else {
                continue
            }
            wasUnknown = false
        }
    }

    private func append(_ id: Int32, at start: Int) {
        tokens.append(id)
        parts.append(Int32(start))
    }

    /// The token of a character, with the affixes that it has at its position.
    private func token(of word: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Int32? {
        let bytes = UnsafeBufferPointer(rebasing: word[range])
        let (prefix, suffix) = (
            range.lowerBound > 0 ? model.prefix : [], range.upperBound == word.count ? model.suffix : []
        )
        if prefix.isEmpty && suffix.isEmpty { return model.vocabulary.id(of: bytes) }
        return model.vocabulary.id(of: prefix + bytes + suffix)
    }

    /// Reports the positions of the tokens, if that isn't plain.
    private func locate(in word: UnsafeBufferPointer<UInt8>) {
        var end = 0
        var isPlain = true
        for (i, id) in tokens.enumerated() where isPlain {
            let range = range(of: i, in: word)
            isPlain = range.lowerBound == end && range.count == model.lengths[Int(id)]
            end = range.upperBound
        }
        guard !isPlain || end != word.count else { return }
        ranges = tokens.indices.map { i in
            let range = range(of: i, in: word)
            return Int32(range.lowerBound)..<Int32(range.upperBound)
        }
    }

    private func range(of token: Int, in word: UnsafeBufferPointer<UInt8>) -> Range<Int> {
        let next = token + 1 < positions.count ? Int(positions[token + 1]) : parts.count
        // Parts follow each other, unless characters between them are nothing.
        let isGapless = model.byteFallback != nil || model.unknownToken != nil
        let end =
            isGapless
            ? next < parts.count ? Int(parts[next]) : word.count : endOfCharacter(at: Int(parts[next - 1]), in: word)
        return Int(parts[Int(positions[token])])..<end
    }

    /// The end of the character, or byte, at `i`.
    private func endOfCharacter(at i: Int, in word: UnsafeBufferPointer<UInt8>) -> Int {
        min(i + (model.isByteLevel ? 1 : UTF8Scalars.length(word[i])), word.count)
    }
}
