/// Merges the parts of a word to tokens: always the pair of the lowest rank, of equals the leftmost.
final class WordMerger: WordEncoder {
    private let model: BytePairEncoding
    private let merges: MergeTable
    @exclusivity(unchecked) private(set) var tokens: [Int32] = []
    @exclusivity(unchecked) private(set) var ranges: [Range<Int32>]?
    /// The first part of each token.
    @exclusivity(unchecked) private var places: [Int32] = []
    /// Where the parts stand in the word, if that isn't plain.
    @exclusivity(unchecked) private var parts: [Range<Int32>] = []
    private var heap = MergeHeap()

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
        places.removeAll(keepingCapacity: true)
        places.append(contentsOf: 0..<Int32(count))
        guard count > 1 else { return }
        if count > Self.linearLimit { return mergeLong() }
        let left = tokens.withUnsafeMutableBufferPointer { tokens in
            places.withUnsafeMutableBufferPointer { places in
                withUnsafeTemporaryAllocation(of: MergeTable.Merge.self, capacity: count) { pairs in
                    Self.mergeShort(tokens, places, pairs, merges)
                }
            }
        }
        tokens.removeLast(count - left)
        places.removeLast(count - left)
    }

    /// Merges tokens in place.
    ///
    /// - Parameters:
    ///   - places: The first part of each token.
    ///   - pairs: Room for what the tokens merge to.
    /// - Returns: The number of tokens that are left.
    private static func mergeShort(
        _ tokens: UnsafeMutableBufferPointer<Int32>, _ places: UnsafeMutableBufferPointer<Int32>,
        _ pairs: UnsafeMutableBufferPointer<MergeTable.Merge>, _ merges: MergeTable
    ) -> Int {
        var count = tokens.count
        for i in 0..<count &- 1 { pairs[i] = merges.merge(tokens[i], tokens[i &+ 1]) }
        while count > 1 {
            var best = MergeTable.none
            var bestRank = MergeTable.none
            var place = 0
            for i in 0..<count &- 1 where pairs[i] < bestRank {
                best = pairs[i]
                bestRank = MergeTable.rank(best)
                place = i
            }
            guard best != MergeTable.none else { break }
            tokens[place] = MergeTable.merged(best)
            count &-= 1
            for i in place &+ 1..<max(count, place &+ 1) {
                tokens[i] = tokens[i &+ 1]
                places[i] = places[i &+ 1]
            }
            for i in place..<max(count &- 1, place) { pairs[i] = pairs[i &+ 1] }
            if place > 0 { pairs[place &- 1] = merges.merge(tokens[place &- 1], tokens[place]) }
            if place < count &- 1 { pairs[place] = merges.merge(tokens[place], tokens[place &+ 1]) }
        }
        return count
    }

    /// As `mergeShort`, in n log n: a heap of pairs over a linked list, where an outdated pair is skipped.
    private func mergeLong() {
        let (count, merges) = (tokens.count, merges)
        var next = (0..<count).map { Int32($0 + 1) }
        var previous = (0..<count).map { Int32($0 - 1) }
        var pairs = zip(tokens, tokens.dropFirst()).map { merges.merge($0, $1) }
        heap.removeAll()
        for (place, pair) in pairs.enumerated() where pair != MergeTable.none { heap.push(pair, at: place) }
        pairs.append(MergeTable.none)
        while let (pair, place) = heap.pop() {
            guard pairs[place] == pair else { continue }
            func update(_ place: Int, _ pair: MergeTable.Merge) {
                pairs[place] = pair
                if pair != MergeTable.none { heap.push(pair, at: place) }
            }
            let right = Int(next[place])
            tokens[place] = MergeTable.merged(pair)
            tokens[right] = -1
            pairs[right] = MergeTable.none
            let behind = Int(next[right])
            next[place] = Int32(behind)
            if behind < count { previous[behind] = Int32(place) }
            update(place, behind < count ? merges.merge(tokens[place], tokens[behind]) : MergeTable.none)
            let before = Int(previous[place])
            if before >= 0 { update(before, merges.merge(tokens[before], tokens[place])) }
        }
        places.removeAll { tokens[Int($0)] < 0 }
        tokens.removeAll { $0 < 0 }
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
            let end = min(i + (model.isByteLevel ? 1 : scalarLength(word[i])), word.count)
            defer { i = end }
            if let id = token(of: word, i..<end) {
                append(id, i..<end)
            } else if let fallback = model.byteFallback {
                for place in i..<end { append(fallback.tokens[Int(word[place])], place..<place + 1) }
            } else if let unknown = model.unknownToken {
                if wasUnknown && model.fusesUnknown, let last = parts.last {
                    parts[parts.count - 1] = last.lowerBound..<Int32(end)
                } else {
                    append(unknown, i..<end)
                }
                wasUnknown = true
                continue
            } else {
                continue
            }
            wasUnknown = false
        }
    }

    private func append(_ id: Int32, _ range: Range<Int>) {
        tokens.append(id)
        parts.append(Int32(range.lowerBound)..<Int32(range.upperBound))
    }

    /// The token of a character, with the affixes that it has at its place.
    private func token(of word: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> Int32? {
        let bytes = UnsafeBufferPointer(rebasing: word[range])
        let (prefix, suffix) = (
            range.lowerBound > 0 ? model.prefix : [], range.upperBound == word.count ? model.suffix : []
        )
        if prefix.isEmpty && suffix.isEmpty { return model.vocabulary.id(of: bytes) }
        return model.vocabulary.id(of: prefix + bytes + suffix)
    }

    /// Says where the tokens stand, if that isn't plain.
    private func locate(in word: UnsafeBufferPointer<UInt8>) {
        var end: Int32 = 0
        var isPlain = true
        for (i, id) in tokens.enumerated() {
            let range = range(of: i)
            isPlain = isPlain && range.lowerBound == end && Int32(range.count) == model.lengths[Int(id)]
            end = range.upperBound
        }
        if !isPlain || Int(end) != word.count { ranges = tokens.indices.map(range) }
    }

    private func range(of token: Int) -> Range<Int32> {
        let last = token + 1 < places.count ? Int(places[token + 1]) - 1 : parts.count - 1
        return parts[Int(places[token])].lowerBound..<parts[last].upperBound
    }
}

/// A binary heap of pairs, the lowest first and of equals the leftmost.
private struct MergeHeap {
    private var items: [(pair: MergeTable.Merge, place: Int)] = []

    private func isBefore(_ a: Int, _ b: Int) -> Bool {
        let (a, b) = (items[a], items[b])
        return (MergeTable.rank(a.pair), a.place) < (MergeTable.rank(b.pair), b.place)
    }

    mutating func removeAll() { items.removeAll(keepingCapacity: true) }

    mutating func push(_ pair: MergeTable.Merge, at place: Int) {
        items.append((pair, place))
        var child = items.count - 1
        while child > 0, isBefore(child, (child - 1) / 2) {
            items.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> (pair: MergeTable.Merge, place: Int)? {
        guard let first = items.first, let last = items.popLast() else { return nil }
        guard !items.isEmpty else { return first }
        items[0] = last
        var parent = 0
        while 2 * parent + 1 < items.count {
            var child = 2 * parent + 1
            if child + 1 < items.count, isBefore(child + 1, child) { child += 1 }
            guard isBefore(child, parent) else { break }
            items.swapAt(child, parent)
            parent = child
        }
        return first
    }
}
