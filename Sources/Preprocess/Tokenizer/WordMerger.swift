/// Merges a word's bytes to tokens: always the pair of the lowest rank, of equals the leftmost.
///
/// Owns the scratch for it; one thread's.
final class WordMerger {
    private let merges: MergeTable
    private let byteTokens: [Int32]
    private(set) var tokens: [Int32] = []
    private var pairs: [MergeTable.Merge] = []
    private var next: [Int32] = []
    private var previous: [Int32] = []
    private var heap = MergeHeap()

    /// The longest word, in bytes, that is merged by looking through all of its pairs for each merge.
    private static let linearLimit = 64

    init(_ model: BytePairEncoding) {
        merges = model.merges
        byteTokens = model.byteTokens
    }

    /// Leaves one token in `tokens`.
    func set(_ token: Int32) {
        tokens.removeAll(keepingCapacity: true)
        tokens.append(token)
    }

    /// Leaves the tokens of `word` in `tokens`.
    func merge(_ word: UnsafeBufferPointer<UInt8>) {
        tokens.removeAll(keepingCapacity: true)
        for byte in word { tokens.append(byteTokens[Int(byte)]) }
        guard tokens.count > 1 else { return }
        pairs.removeAll(keepingCapacity: true)
        for i in 1..<tokens.count { pairs.append(merges.merge(tokens[i - 1], tokens[i])) }
        if tokens.count <= Self.linearLimit {
            mergeShort()
        } else {
            mergeLong()
        }
    }

    private func mergeShort() {
        var count = tokens.count
        tokens.withUnsafeMutableBufferPointer { tokens in
            pairs.withUnsafeMutableBufferPointer { pairs in
                while count > 1 {
                    var best = MergeTable.none
                    var place = 0
                    for i in 0..<count &- 1 where pairs[i] < best {
                        best = pairs[i]
                        place = i
                    }
                    guard best != MergeTable.none else { break }
                    tokens[place] = MergeTable.merged(best)
                    count &-= 1
                    for i in place &+ 1..<max(count, place &+ 1) { tokens[i] = tokens[i &+ 1] }
                    for i in place..<max(count &- 1, place) { pairs[i] = pairs[i &+ 1] }
                    if place > 0 { pairs[place &- 1] = merges.merge(tokens[place &- 1], tokens[place]) }
                    if place < count &- 1 { pairs[place] = merges.merge(tokens[place], tokens[place &+ 1]) }
                }
            }
        }
        tokens.removeLast(tokens.count - count)
    }

    /// As `mergeShort`, in n log n: a heap of pairs over a linked list, where an outdated pair is skipped.
    private func mergeLong() {
        let count = tokens.count
        next = (0..<count).map { Int32($0 + 1) }
        previous = (0..<count).map { Int32($0 - 1) }
        heap.removeAll()
        for (place, pair) in pairs.enumerated() where pair != MergeTable.none { heap.push(pair, at: place) }
        pairs.append(MergeTable.none)
        while let (pair, place) = heap.pop() {
            guard pairs[place] == pair else { continue }
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
        tokens.removeAll { $0 < 0 }
    }

    private func update(_ place: Int, _ pair: MergeTable.Merge) {
        pairs[place] = pair
        if pair != MergeTable.none { heap.push(pair, at: place) }
    }
}

/// A binary heap of pairs, the lowest first and of equals the leftmost.
private struct MergeHeap {
    private var items: [(pair: MergeTable.Merge, place: Int)] = []

    mutating func removeAll() { items.removeAll(keepingCapacity: true) }

    mutating func push(_ pair: MergeTable.Merge, at place: Int) {
        items.append((pair, place))
        var child = items.count - 1
        while child > 0, items[child] < items[(child - 1) / 2] {
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
            if child + 1 < items.count, items[child + 1] < items[child] { child += 1 }
            guard items[child] < items[parent] else { break }
            items.swapAt(child, parent)
            parent = child
        }
        return first
    }
}
