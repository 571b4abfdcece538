/// Which pairs of tokens merge, in which order and to what: a flat table keyed by both ids.
struct MergeTable: @unchecked Sendable {
    /// A merge as one word that sorts by rank: the rank above the id of the merged token.
    typealias Merge = UInt64
    static let none = Merge.max
    /// Two tokens, what they merge to, and how early: the lowest rank first, of equals the leftmost.
    typealias Rule = (left: Int32, right: Int32, merged: Int32, rank: UInt32)

    private struct Entry {
        var pair = UInt64.max
        var merge = MergeTable.none
    }

    private let entries: Storage
    private let mask: Int
    /// One more than the highest rank.
    let rankCount: Int

    /// The table's memory.
    private final class Storage {
        let start: UnsafeMutablePointer<Entry>

        init(capacity: Int) {
            start = .allocate(capacity: capacity)
            start.initialize(repeating: Entry(), count: capacity)
        }

        deinit { start.deallocate() }
    }

    /// - Parameter merges: Of a pair that is there twice, the last counts.
    init(_ merges: [Rule]) {
        var size = 16
        while size < 2 * merges.count { size *= 2 }
        mask = size - 1
        rankCount = merges.reduce(0) { max($0, Int($1.rank) + 1) }
        entries = Storage(capacity: size)
        for merge in merges {
            let pair = Self.pair(merge.left, merge.right)
            var slot = Self.slot(pair, mask)
            while entries.start[slot].pair != .max, entries.start[slot].pair != pair { slot = (slot + 1) & mask }
            entries.start[slot] = Entry(pair: pair, merge: UInt64(merge.rank) << 32 | UInt64(merge.merged))
        }
    }

    /// The merge of two tokens that stand side by side, `none` if they don't merge.
    @inline(__always)
    func merge(_ left: Int32, _ right: Int32) -> Merge {
        let pair = Self.pair(left, right)
        let start = entries.start
        var slot = Self.slot(pair, mask)
        while true {
            let entry = start[slot]
            if entry.pair == pair { return entry.merge }
            if entry.pair == .max { return Self.none }
            slot = (slot &+ 1) & mask
        }
    }

    /// The lowest word of a merge's rank, to compare by rank alone.
    @inline(__always)
    static func rank(_ merge: Merge) -> Merge { merge & ~0xFFFF_FFFF }

    /// A merge's rank alone.
    @inline(__always)
    static func rankNumber(_ merge: Merge) -> Int { Int(merge &>> 32) }

    /// The id of the token that a merge makes.
    @inline(__always)
    static func merged(_ merge: Merge) -> Int32 { Int32(truncatingIfNeeded: merge) }

    @inline(__always)
    private static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) &<< 32 | UInt64(UInt32(bitPattern: right))
    }

    @inline(__always)
    private static func slot(_ pair: UInt64, _ mask: Int) -> Int {
        Int(truncatingIfNeeded: (pair &* 0x9E37_79B9_7F4A_7C15) &>> 24) & mask
    }
}
