import Shared

/// Merges the parts of a long word, in n log n and in little more memory than their tokens take.
///
/// The list of tokens needs no links: a token's id stands at its first part, and where it has several, minus their number
/// stands at the second and at the last. So the next token and the one before are found from where one begins.
///
/// A heap holds positions whose pairs merge, the next one first. A round takes only a share of the parts:
/// the first of them all, while what follows waits for the next round. What a merge makes comes into the heap if it
/// belongs before the round's end; so the heap always has what merges next.
struct LongWordMerger {
    /// The fewest pairs of a round, so that most words take one.
    var fewest = 1 << 16
    /// Parts of a word for each pair of a round.
    private static let share = 16
    private var heap = MergeHeap()

    /// Merges tokens in place.
    ///
    /// What follows the first part of a token is negative then.
    mutating func merge(_ tokens: UnsafeMutableBufferPointer<Int32>, _ merges: MergeTable) {
        let list = TokenList(tokens)
        var end: MergeHeap.Key
        repeat {
            end = fill(list, merges)
            var count = 0
            while let key = heap.pop() {
                count &+= 1
                // The encoder then throws, and nobody sees the tokens.
                if count & 0xFFFF == 0, Interrupt.isRequested { return }
                let position = MergeHeap.position(key)
                // Pairs that went are left in the heap.
                guard let merge = list.merge(at: position, merges), MergeHeap.key(merge, position) == key else {
                    continue
                }
                list.join(at: position, MergeTable.merged(merge))
                push(list, position, merges, before: end)
                if let previous = list.previous(position) { push(list, previous, merges, before: end) }
            }
        } while end != .max
    }

    private mutating func push(_ list: TokenList, _ position: Int, _ merges: MergeTable, before end: MergeHeap.Key) {
        guard let merge = list.merge(at: position, merges) else { return }
        let key = MergeHeap.key(merge, position)
        if key < end { heap.push(key) }
    }

    /// Puts the pairs of a round into the empty heap.
    ///
    /// - Returns: The first key that isn't the round's.
    private mutating func fill(_ list: TokenList, _ merges: MergeTable) -> MergeHeap.Key {
        var rest = max(fewest, list.count / Self.share)
        guard list.count > rest else {
            list.forEachMerge(merges) { merge, position in heap.append(MergeHeap.key(merge, position)) }
            heap.order()
            return .max
        }
        var counts = [Int32](repeating: 0, count: merges.rankCount)
        list.forEachMerge(merges) { merge, _ in counts[MergeTable.rankNumber(merge)] += 1 }
        var rank = 0
        while rank < counts.count, counts[rank] <= rest {
            rest -= Int(counts[rank])
            rank += 1
        }
        // All of the lower ranks, and of this one as many as still have room, from the left.
        var end = rank == counts.count ? .max : MergeHeap.Key(rank + 1) << 32
        list.forEachMerge(merges) { merge, position in
            let key = MergeHeap.key(merge, position)
            guard key < end else { return }
            if MergeTable.rankNumber(merge) == rank {
                guard rest > 0 else {
                    end = key
                    return
                }
                rest -= 1
            }
            heap.append(key)
        }
        heap.order()
        return end
    }
}

/// The tokens of a word, each at its first part.
private struct TokenList {
    private let slots: UnsafeMutablePointer<Int32>
    /// The word's parts.
    let count: Int

    init(_ tokens: UnsafeMutableBufferPointer<Int32>) {
        // A word that is merged has parts.
        guard let start = tokens.baseAddress else { preconditionFailure("no tokens") }
        (slots, count) = (start, tokens.count)
    }

    /// Where the token after the one at `position` begins, `count` after the last.
    @inline(__always)
    private func next(_ position: Int) -> Int {
        guard position &+ 1 < count else { return count }
        let length = slots[position &+ 1]
        return length < 0 ? position &- Int(length) : position &+ 1
    }

    /// Where the token before the one at `position` begins.
    @inline(__always)
    func previous(_ position: Int) -> Int? {
        guard position > 0 else { return nil }
        let length = slots[position &- 1]
        return length < 0 ? position &+ Int(length) : position &- 1
    }

    /// What the token that begins at `position`, if one does, merges to with the next.
    @inline(__always)
    func merge(at position: Int, _ merges: MergeTable) -> MergeTable.Merge? {
        let next = next(position)
        guard slots[position] >= 0, next < count else { return nil }
        let merge = merges.merge(slots[position], slots[next])
        return merge == MergeTable.none ? nil : merge
    }

    /// Makes one of the token at `position` and the next.
    @inline(__always)
    func join(at position: Int, _ merged: Int32) {
        let right = next(position)
        let end = next(right)
        let length = Int32(end &- position)
        slots[position] = merged
        slots[right] = -1
        slots[position &+ 1] = -length
        slots[end &- 1] = -length
    }

    @inline(__always)
    func forEachMerge(_ merges: MergeTable, _ body: (MergeTable.Merge, _ position: Int) -> Void) {
        var position = 0
        while position < count {
            if let merge = merge(at: position, merges) { body(merge, position) }
            position = next(position)
        }
    }
}

/// A binary heap of positions whose pairs merge: the lowest rank first, and of equals the leftmost.
private struct MergeHeap {
    /// The rank above the position.
    typealias Key = UInt64
    private var keys: [Key] = []

    @inline(__always)
    static func key(_ merge: MergeTable.Merge, _ position: Int) -> Key { MergeTable.rank(merge) | Key(position) }

    @inline(__always)
    static func position(_ key: Key) -> Int { Int(key & 0xFFFF_FFFF) }

    /// Adds a key without regard to order.
    mutating func append(_ key: Key) { keys.append(key) }

    /// Makes a heap of what was added without order.
    mutating func order() {
        for parent in stride(from: keys.count / 2 - 1, through: 0, by: -1) { sink(parent) }
    }

    mutating func push(_ key: Key) {
        keys.append(key)
        keys.withUnsafeMutableBufferPointer { keys in
            var child = keys.count &- 1
            while child > 0, key < keys[(child &- 1) / 2] {
                keys[child] = keys[(child &- 1) / 2]
                child = (child &- 1) / 2
            }
            keys[child] = key
        }
    }

    mutating func pop() -> Key? {
        guard let first = keys.first, let last = keys.popLast() else { return nil }
        if !keys.isEmpty {
            keys[0] = last
            sink(0)
        }
        return first
    }

    private mutating func sink(_ start: Int) {
        keys.withUnsafeMutableBufferPointer { keys in
            let key = keys[start]
            var parent = start
            while true {
                var child = 2 &* parent &+ 1
                guard child < keys.count else { break }
                if child &+ 1 < keys.count, keys[child &+ 1] < keys[child] { child &+= 1 }
                guard keys[child] < key else { break }
                keys[parent] = keys[child]
                parent = child
            }
            keys[parent] = key
        }
    }
}
